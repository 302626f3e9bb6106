# SPDX-License-Identifier: GPL-2.0-only
"""The main functions that a kernel went through in one operation, on one line."""

from __future__ import annotations

from report.calls import CallKind, flat
from report.family import taken_over
from report.glyphs import Glyphs
from report.scene import Scene, VmaView
from report.story import Change, Frame

_MAIN = frozenset(
    (
        *("sys_mmap", "sys_munmap", "sys_mprotect", "sys_madvise", "sys_mremap", "exec_mmap"),
        *("vma_expand", "vma_adjust", "commit_merge", "__split_vma", "anon_vma_merge"),
        *("dup_anon_vma", "undo_dup_anon_vma", "copy_vma", "move_vma", "move_page_tables"),
        *("dontunmap_complete", "do_anonymous_page", "do_wp_page", "wp_page_copy", "do_swap_page"),
        *("__anon_vma_prepare", "dup_mmap", "anon_vma_fork", "anon_vma_clone"),
        *("maybe_reuse_anon_vma", "copy_present_page", "exit_mmap", "zap_page_range"),
        *("unlink_anon_vmas", "cleanup_partial_anon_vmas", "__put_anon_vma", "page_get_anon_vma"),
        *("shrink_page", "add_to_swap", "try_to_unmap", "rmap_walk_anon", "unmap_and_move"),
        *("try_to_migrate", "remove_migration_ptes", "pin_user_page", "gup_must_unshare"),
        *("unpin_user_page", "put_anon_vma", "page_move_anon_rmap"),
    )
)
"""What tells one operation from another; the rest is how these do it."""


def main_calls(before: Scene, frame: Frame, glyphs: Glyphs) -> str:
    """Return the main functions of a step in order, ``dup_mmap → anon_vma_fork → ...``.

    Each has how often it was called; ``anon_vma_clone`` what it reused, the last what it had
    no memory for. Empty if nothing was called.
    """
    times: dict[str, int] = {}
    failed = ""
    for _, call in flat(frame.calls):
        if call.kind is CallKind.CALL and call.name in _MAIN:
            times[call.name] = times.get(call.name, 0) + call.times
        elif call.is_failed:
            failed = f", no memory for {call.name}"
    if not times:
        times = {call.name: call.times for call in frame.calls if call.kind is CallKind.CALL}
    reused = ", ".join(reuses(before, frame))
    shown = [
        name
        + f" {glyphs.times}{count}" * (count > 1)
        + f" (reuses {reused})" * bool(name == "anon_vma_clone" and reused)
        for name, count in times.items()
    ]
    return f" {glyphs.arrow} ".join(shown) + failed


def reuses(before: Scene, frame: Frame) -> list[str]:
    """Return the names of the anon_vmas that a child's VMAs took over from an ancestor."""
    names: dict[str, None] = {}
    for each, change in frame.changes.items():
        vma = frame.scene.get(each)
        if change is Change.NEW and isinstance(vma, VmaView) and vma.process != frame.process:
            anon_vma = taken_over(vma, before, frame.process)
            names.update({} if anon_vma is None else {anon_vma.name: None})
    return list(names)
