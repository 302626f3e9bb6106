# SPDX-License-Identifier: GPL-2.0-only
"""Objects of a Scene by the names that people read: av1, p0[0,1), p0:3(rw)."""

from __future__ import annotations

import attrs

from report.scene import (
    ZERO_PAGE,
    AnonVmaView,
    LinkView,
    MmView,
    Scene,
    VmaView,
)
from report.story import Change

SIGNS = {Change.NEW: "+", Change.CHANGED: "~", Change.FREED: "-", None: " "}
"""The sign of what a step did to an object; a space where it did nothing."""


@attrs.frozen
class Looker:
    """Looks objects up: what exists, else what is known of it from before.

    Attributes:
        scene: What exists.
        gone: What does not any more, as it last was.
    """

    scene: Scene
    gone: Scene

    def anon_vma(self, each: str | None) -> str:
        """Return the short name of an anon_vma: "none", "av1", "av1(freed)"."""
        if each is None:
            return "none"
        view = self.scene.get(each, self.gone.get(each))
        name = view.name if isinstance(view, AnonVmaView) else each
        return name if each in self.scene else f"{name}(freed)"

    def chain(self, vma: VmaView) -> dict[str, str]:
        """Return what a VMA's chain leads to, by the id of the link."""
        return {each: self._linked(each) for each in vma.chain}

    def tree(self, anon_vma: AnonVmaView) -> dict[str, str]:
        """Return the VMAs in an interval tree, ``p0[0,1)``, by the id of the link."""
        return {each: self._member(each) for each in anon_vma.tree}

    def _linked(self, link: str) -> str:
        view = self.scene.get(link)
        return self.anon_vma(view.anon_vma) if isinstance(view, LinkView) else f"{link}(freed)"

    def _member(self, link: str) -> str:
        view = self.scene.get(link)
        if not isinstance(view, LinkView):
            return f"{link}(freed)"
        vma = self.scene.get(view.vma or "")
        return place(vma) if isinstance(vma, VmaView) else f"{view.vma or 'none'}(freed)"


def place(vma: VmaView) -> str:
    """Return where a VMA is: ``p0[0,1)``."""
    return f"{vma.process}{span(vma)}"


def span(vma: VmaView) -> str:
    """Return the pages of a VMA: ``[0,1)``."""
    return f"[{vma.start},{vma.end})"


def mapped(scene: Scene) -> dict[str, dict[str, str]]:
    """Return by page where it is mapped and how: ``{"page#4": {"p0:0": "rw"}}``.

    The shared zero page is there under ``ZERO_PAGE``.
    """
    found: dict[str, dict[str, str]] = {}
    for mm in _mms(scene):
        for pte in mm.ptes:
            found.setdefault(pte.page, {})[f"{mm.label}:{pte.address}"] = "rw" if pte.write else "r"
    return found


def pinned(scene: Scene) -> dict[str, dict[str, str]]:
    """Return by page who has it pinned, and where."""
    found: dict[str, dict[str, str]] = {}
    for mm in _mms(scene):
        for pin in mm.pins:
            found.setdefault(pin.page, {})[f"{mm.label}:{pin.address}"] = ""
    return found


def swapped(scene: Scene) -> dict[str, dict[str, str]]:
    """Return by swap slot which entries name it."""
    found: dict[str, dict[str, str]] = {}
    for mm in _mms(scene):
        for entry in mm.swapped:
            where = f"{mm.label}:{entry.address}"
            found.setdefault(entry.slot, {})[where] = "exclusive" if entry.exclusive else ""
    return found


def places(found: dict[str, str]) -> dict[str, str]:
    """Return places with how, ``p0:0(rw)``, by place."""
    return {where: f"{where}({how})" if how else where for where, how in found.items()}


def title_of_page(page: str) -> str:
    """Return what a page is called."""
    return "zero page" if page == ZERO_PAGE else page


def _mms(scene: Scene) -> list[MmView]:
    return [view for view in scene.values() if isinstance(view, MmView)]
