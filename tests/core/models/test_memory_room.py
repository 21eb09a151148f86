"""Memory that a process may still come to use: the smallest of what is free and what is set, each less what is used of it."""

from __future__ import annotations

import resource
from types import SimpleNamespace

import psutil
import pytest

from core.models import memory_room
from core.models.memory_room import memory_room as room
from core.models.memory_room import require_room
from core.spec.errors import OutOfMemory

GB = 10**9
OWN = SimpleNamespace(rss=GB, vms=5 * GB, data=2 * GB)


@pytest.fixture
def machine(monkeypatch, tmp_path):
    """A machine with 20 GB free and 3 GB of swap, a process without limits, and a folder of control groups that is empty."""
    limits = {resource.RLIMIT_AS: resource.RLIM_INFINITY, resource.RLIMIT_DATA: resource.RLIM_INFINITY}
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=20 * GB))
    monkeypatch.setattr(psutil, "swap_memory", lambda: SimpleNamespace(free=3 * GB))
    monkeypatch.setattr(psutil, "Process", lambda: SimpleNamespace(memory_info=lambda: OWN))
    monkeypatch.setattr(resource, "getrlimit", lambda kind: (limits[kind], resource.RLIM_INFINITY))
    monkeypatch.setattr(memory_room, "_CGROUP_ROOT", tmp_path)
    return SimpleNamespace(limits=limits, groups=tmp_path)


def test_without_bounds_it_is_what_is_free(machine):
    assert room() == 23 * GB
    assert memory_room.memory_limit() == 21 * GB  # with what the process has; a plan is not made for swap


@pytest.mark.parametrize(("kind", "left"), [(resource.RLIMIT_AS, 3), (resource.RLIMIT_DATA, 6)])
def test_limits_of_the_process_count_what_each_of_them_counts(machine, kind, left):
    machine.limits[kind] = 8 * GB
    assert room() == left * GB
    assert memory_room.memory_limit() == (left + 1) * GB
    machine.limits[kind] = GB
    assert room() == 0


@pytest.mark.parametrize(("names", "cached"), [
    (("memory.max", "memory.current", "memory.stat"), "inactive_file"),
    (("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes", "memory/memory.stat"), "total_inactive_file")])
def test_files_that_a_control_group_holds_in_its_cache_are_no_use_of_it(machine, names, cached):
    (machine.groups / names[0]).parent.mkdir(exist_ok=True)
    for name, text in zip(names, (f"{8 * GB}\n", f"{7 * GB}\n", f"anon 1\n{cached} {4 * GB}\n"), strict=True):
        (machine.groups / name).write_text(text)
    assert room() == 5 * GB
    (machine.groups / names[0]).write_text("max\n")
    assert room() == 23 * GB


def test_what_does_not_fit_is_refused_with_both_figures(machine):
    require_room(23 * GB, "loading x", "Do less.")
    with pytest.raises(OutOfMemory, match=r"while loading x\. Do less\. At least 24 GB are needed, and 23 GB are free"):
        require_room(24 * GB, "loading x", "Do less.")
    with pytest.raises(OutOfMemory, match="At least 211 GB are needed, and 23 GB are free"):
        require_room(211 * GB, "loading x", "Do less.")
