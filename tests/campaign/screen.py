# SPDX-License-Identifier: GPL-2.0-only
"""A terminal of a given size that shows what was written to it, as people would see it."""

import io
import re

_PART = re.compile(r"\x1b\[([0-9;?]*)([A-Za-z])|([\r\n])|([^\x1b\r\n]+)")


class Screen(io.StringIO):
    """A terminal that knows what a live display needs: movements, erasing, wrapped lines.

    Rows are kept as logical lines, cut into the rows that they fill; to resize cuts them anew.
    """

    encoding = "utf-8"

    def __init__(self, columns, lines):
        super().__init__()
        self.columns, self.lines = columns, lines
        self._rows = [""]
        self._continued = [False]
        self._row = self._column = 0

    def isatty(self):
        """Say that it is a terminal."""
        return True

    def write(self, text):
        """Show what is written."""
        for codes, command, move, plain in _PART.findall(text):
            if move:
                self._move(move)
            elif plain:
                self._put(plain)
            elif command == "A":
                self._row = max(0, self._row - int(codes or 1))
            elif command == "K":
                self._rows[self._row] = ""
                self._continued[self._row] = False
            elif command not in {"m", "h", "l"}:
                raise NotImplementedError(command)
        return super().write(text)

    def _move(self, move):
        if move == "\r":
            self._column = 0
            return
        self._row, self._column = self._row + 1, 0
        if self._row == len(self._rows):
            self._rows.append("")
            self._continued.append(False)

    def _put(self, text):
        for character in text:
            if self._column == self.columns:
                self._move("\n")
                self._continued[self._row] = True
            row = self._rows[self._row].ljust(self._column)
            self._rows[self._row] = row[: self._column] + character + row[self._column + 1 :]
            self._column += 1

    def resize(self, columns):
        """Become wider or narrower, and wrap lines anew, as most terminals do."""
        logical, cursor = [], (0, 0)
        for number, (row, continued) in enumerate(zip(self._rows, self._continued, strict=True)):
            if not continued:
                logical.append("")
            if number == self._row:
                cursor = len(logical) - 1, len(logical[-1]) + self._column
            logical[-1] += row
        self.columns, self._rows, self._continued = columns, [], []
        for number, line in enumerate(logical):
            if number == cursor[0]:
                below, self._column = divmod(max(0, cursor[1] - 1), columns)
                self._row = len(self._rows) + below
                self._column += min(1, cursor[1])
            pieces = [line[at : at + columns] for at in range(0, len(line), columns)] or [""]
            self._rows += pieces
            self._continued += [False] + [True] * (len(pieces) - 1)

    def text(self):
        """What is to be seen, without what is empty at the end."""
        rows = [row.rstrip() for row in self._rows]
        while rows and not rows[-1]:
            rows.pop()
        return rows

    def colours(self):
        """The colours that were chosen."""
        codes = re.findall(r"\x1b\[([0-9;]*)m", self.getvalue())
        return {
            code for each in codes for code in each.split(";") if re.fullmatch("[349][0-9]", code)
        }
