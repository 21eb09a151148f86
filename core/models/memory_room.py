"""Memory that this process may still come to use, and refusal of what cannot fit into it, in words and before anything is read.

    room = min(free memory and swap, control group, RLIMIT_AS, RLIMIT_DATA), each less what the process has of it

An allocation that fails inside torch can be told afterward. One that fails inside the tokenizer ends the process, and beyond a control
group's or the machine's memory the kernel does: what is large is judged first.
"""

from __future__ import annotations

import resource
from contextlib import suppress
from pathlib import Path

import psutil

from core.spec.errors import OutOfMemory

TOKENIZING = 200  # bytes a character while a text is tokenized; measured 150 to 210
# Control groups, version 2 and 1: limit, use, and the name of the cached files in it, which are given up for whoever needs memory
_CGROUPS = (("memory.max", "memory.current", "memory.stat", ("inactive_file", "active_file")),
            ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes", "memory/memory.stat",
             ("total_inactive_file", "total_active_file")))
_CGROUP_ROOT = Path("/sys/fs/cgroup")


def memory_limit() -> int:
    """Bytes that this process may come to use, with what it has: free memory, the control group's, RLIMIT_AS and RLIMIT_DATA."""
    return psutil.Process().memory_info().rss + max(0, min(psutil.virtual_memory().available, *_bounded()))


def memory_room() -> int:
    """Bytes that this process may still allocate; swap counts."""
    return max(0, min(psutil.virtual_memory().available + psutil.swap_memory().free, *_bounded()))


def require_room(needed: int, stage: str, remedy: str) -> None:
    """Raises OutOfMemory where `needed` bytes more are not there. `stage`: what they are for, as in "loading NAME"."""
    room = memory_room()
    if needed > room:
        raise OutOfMemory(stage, f"{remedy} At least {_gigabytes(needed)} are needed, and {_gigabytes(room)} are free for this process.")


def _gigabytes(count: int) -> str:
    """A number of bytes in gigabytes: two digits, and all before the point."""
    return f"{count / 1e9:.2g} GB" if count < 99e9 else f"{count / 1e9:.0f} GB"


def _bounded() -> tuple[int, ...]:
    """Bytes left under each bound that is set for this process."""
    own, found = psutil.Process().memory_info(), list[int]()
    for kind, used in ((resource.RLIMIT_AS, own.vms), (resource.RLIMIT_DATA, getattr(own, "data", own.rss))):
        soft, _ = resource.getrlimit(kind)
        if soft != resource.RLIM_INFINITY:
            found.append(soft - used)
    for most, used, statistics, cached in _CGROUPS:
        with suppress(OSError, ValueError):  # "max" is no number: there is no bound
            left = int((_CGROUP_ROOT / most).read_text()) - int((_CGROUP_ROOT / used).read_text())
            kept = dict(line.split() for line in (_CGROUP_ROOT / statistics).read_text().splitlines())
            found.append(left + sum(int(kept.get(name, 0)) for name in cached))
    return tuple(found) or (1 << 63,)
