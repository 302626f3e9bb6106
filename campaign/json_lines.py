# SPDX-License-Identifier: GPL-2.0-only
"""Who takes the events of a campaign; here, as a stream of JSON lines."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Protocol, TextIO

from campaign.events import Event, Progress

_JSON_PROGRESS_SECONDS = 1.0


class Consumer(Protocol):
    """Takes the events of one campaign."""

    def __call__(self, event: Event) -> None:
        """Take the next event."""

    def close(self) -> None:
        """Let go of the terminal or the file; nothing follows."""


class JsonLines:
    """Writes one JSON object per line; progress at most once a second."""

    def __init__(self, stream: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream = stream
        self._clock = clock
        self._due = clock()

    def __call__(self, event: Event) -> None:
        """Write the next event."""
        if isinstance(event, Progress):
            now = self._clock()
            if now < self._due:
                return
            self._due = now + _JSON_PROGRESS_SECONDS
        self._stream.write(json.dumps(event.to_json()) + "\n")
        self._stream.flush()

    def close(self) -> None:
        """Do nothing: the stream is the caller's."""
