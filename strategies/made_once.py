# SPDX-License-Identifier: GPL-2.0-only
"""The operations of ``strategies.ops``, each made once and handed out again.

Making one costs as much as executing it, and generators ask for the same ones over and over.
"""

from __future__ import annotations

from functools import lru_cache

import attrs

from strategies import ops
from strategies.ops import Op

_made_once = lru_cache(maxsize=1 << 16)
mmap = _made_once(ops.mmap)
write = _made_once(ops.write)
read = _made_once(ops.read)
fork = _made_once(ops.fork)
exit_ = _made_once(ops.exit_)
exec_ = _made_once(ops.exec_)
munmap = _made_once(ops.munmap)
mprotect = _made_once(ops.mprotect)
madvise = _made_once(ops.madvise)
mremap = _made_once(ops.mremap)
dontunmap = _made_once(ops.dontunmap)
swap_out = _made_once(ops.swap_out)
pin = _made_once(ops.pin)
unpin = _made_once(ops.unpin)
get = _made_once(ops.get)
put = _made_once(ops.put)
migrate = _made_once(ops.migrate)


@_made_once
def failing(op: Op, fail: int) -> Op:
    """Return an operation that is short of memory; ``fail`` as in ``Op``."""
    return attrs.evolve(op, fail=fail)
