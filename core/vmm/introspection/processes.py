"""A guest's processes, read from outside: of tern by its symbols and DWARF, of Linux by its BTF."""

from __future__ import annotations

from functools import lru_cache
from typing import Final, NamedTuple

from ...errors import ConfigError
from ...machine.loader import Image
from ..vm import Vm
from .btf import MAGIC, Btf
from .dwarf import Dwarf
from .memory import GuestView, NotThere

MOST: Final = 32768
"""Processes that are listed at most: a list that a guest has tied into a knot ends there."""

COMM: Final = b"swapper".ljust(16, b"\0")
"""comm of Linux's first task, as it is in its image."""


class Process(NamedTuple):
    """pid, parent: 0 for none. name: as the kernel has it. state: in the kernel's words. is_kernel: a thread of the
    kernel's own."""

    pid: int
    parent: int
    name: str
    state: str
    is_kernel: bool = False


def list_processes(vm: Vm) -> list[Process]:
    """The processes, by pid. Raises ConfigError for a guest that is no kernel we can read, or has none as yet."""
    image = vm.image
    if image is None:
        raise ConfigError("the VM's image is not known, and with it where its kernel keeps its processes")
    try:
        found = _tern(vm, image) if "processes" in image.symbols else _linux(vm, image)
    except NotThere as error:
        raise ConfigError(f"its kernel has no processes yet, or has lost them: nothing is at {error}") from error
    return sorted(found)


# --- tern

TERN_STATES: Final = ("unused", "ready", "blocked", "zombie")


@lru_cache(4)
def _dwarf(data: bytes) -> Dwarf:
    return Dwarf(data)


def _tern(vm: Vm, image: Image) -> list[Process]:
    dwarf = _dwarf(image.file)
    try:
        layout, count = dwarf.structure("process"), dwarf.count("processes")
        members = layout.members
        state_at, pid_at, parent_at, name_at = (members[name] for name in ("state", "pid", "parent", "name"))
    except KeyError as error:
        raise ConfigError(f"{image.name}: no debug data that says where its processes are: {error}") from error
    view = GuestView(vm)
    table = image.symbols["processes"]
    found = []
    for index in range(count):
        gva = table + index * layout.size
        state = view.load(gva + state_at, 4)
        if 0 < state < len(TERN_STATES):
            parent = view.load(gva + parent_at, 8)
            found.append(Process(view.load(gva + pid_at, 4), view.load(parent + pid_at, 4) if parent else 0,
                                 view.text(gva + name_at, layout.size - name_at), TERN_STATES[state]))
    return found


# --- Linux

LINUX_STATES: Final = ((0x400, "idle"), (1, "sleeping"), (2, "waiting"), (4, "stopped"), (8, "traced"), (0x80, "dead"))
"""Bits of task_struct.__state (include/linux/sched.h); the first that is set says how the task is."""


class TaskLayout(NamedTuple):
    """Offsets in Linux's task_struct."""

    tasks: int
    pid: int
    comm: int
    state: int
    parent: int
    mm: int


class _Kernel(NamedTuple):
    layout: TaskLayout
    init_task: int  # gpa


@lru_cache(4)
def _find_kernel(image: Image) -> _Kernel:
    """Where the image says its tasks are. Raises ConfigError."""
    for segment in image.segments:
        start = segment.data.find(MAGIC)
        if start < 0:
            continue
        try:
            btf = Btf(segment.data, start)
            layout = TaskLayout(*(btf.member("task_struct", name).offset for name in (
                "tasks", "pid", "comm", "__state", "real_parent", "mm")))
        except (ValueError, KeyError, IndexError) as error:
            raise ConfigError(f"{image.name}: its BTF tells no tasks: {error}") from error
        at = segment.data.find(COMM)
        while at >= 0:
            task = at - layout.comm
            ring = segment.data[task + layout.tasks : task + layout.tasks + 16]
            if task >= 0 and ring[:8] == ring[8:] != bytes(8):  # a list of itself alone
                return _Kernel(layout, segment.gpa + task)
            at = segment.data.find(COMM, at + 1)
    raise ConfigError(f"{image.name}: neither a kernel with symbols, such as tern, nor a Linux with BTF")


def _linux(vm: Vm, image: Image) -> list[Process]:
    layout, init_task = _find_kernel(image)
    view = GuestView(vm)
    ring = init_task + layout.tasks
    first = int.from_bytes(view.read_physical(ring, 8), "little")
    if first == 0:
        raise ConfigError("its kernel has not started yet")
    found: list[Process] = []
    node = first
    while view.translate(node) != ring and len(found) < MOST:
        found.append(_task(view, node - layout.tasks, layout))
        node = view.load(node, 8)
    return found


def _task(view: GuestView, gva: int, layout: TaskLayout) -> Process:
    state = view.load(gva + layout.state, 4)
    parent = view.load(gva + layout.parent, 8)
    return Process(view.load(gva + layout.pid, 4), view.load(parent + layout.pid, 4) if parent else 0,
                   view.text(gva + layout.comm, 16),
                   next((name for bit, name in LINUX_STATES if state & bit), "running"),
                   is_kernel=view.load(gva + layout.mm, 8) == 0)
