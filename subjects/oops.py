# SPDX-License-Identifier: GPL-2.0-only
"""What Python raises in the model where C would follow a bad pointer.

A developer who changes the model should get that as a finding, not as a crash of the tool.
"""

from __future__ import annotations

from model.errors import KernelOops

OOPS = (AttributeError, TypeError, ValueError, KeyError, IndexError, NameError)
"""The exceptions that may be an oops of the model kernel."""


def oops_of(error: BaseException) -> KernelOops | None:
    """Return the oops that an exception amounts to; None if it did not come from the model."""
    frame = error.__traceback__
    while frame is not None and frame.tb_next is not None:
        frame = frame.tb_next
    if frame is None or not frame.tb_frame.f_globals.get("__name__", "").startswith("model."):
        return None
    name = frame.tb_frame.f_code.co_name
    return KernelOops(name, f"{name} (model line {frame.tb_lineno}): {error}")
