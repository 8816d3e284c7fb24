"""A debugger's moves backwards. Each restores a checkpoint and runs from there, so it takes a tenth of a second at most
for a step, and for a search as long as the stretch that is searched takes to run."""

from __future__ import annotations

from ...errors import ConfigError
from ...machine.watching import Until
from ..gdb.target import CHANGED, Halt
from ..questions import last_change, last_write
from ..timeline import Timeline, unstopped
from .calls import is_return, return_address
from .inspector import Inspector, Moves
from .moves import SP
from .stops import UNTIL_OF, Watchpoint

BEGINNING = "the beginning of what is known"
CALL_LENGTHS = (2, 4)
"""Bytes of a call instruction: compressed, or not."""


def past(inspector: Inspector) -> Timeline:
    """Its timeline. Raises ConfigError where there is none."""
    if inspector.timeline is None:
        raise ConfigError("this guest writes to the host's disks or folders, and cannot be taken back in time")
    return inspector.timeline


def reverse_step(inspector: Inspector) -> Moves:
    """Back over one step of the vCPU looked at."""
    yield
    past(inspector)
    inspector.exit = None
    found = inspector.target.reverse_step(inspector.vcpu_index)
    return inspector.stopped(CHANGED, "stepped back" if found else BEGINNING)


def reverse_go_on(inspector: Inspector) -> Moves:
    """Back to where something last stopped it, or would have."""
    yield
    past(inspector)
    inspector.place_again()
    inspector.exit = None
    halt = inspector.target.reverse_continue()
    if halt is None:
        return inspector.stopped(CHANGED, BEGINNING)
    inspector.halt = halt
    inspector.vcpu_index = halt.hart
    return halt


def reverse_over(inspector: Inspector) -> Moves:
    """Back over one instruction of this function; a call, and all that it did, is one."""
    vcpu = inspector.vcpu
    pc, sp, mode, origin = vcpu.hart.pc, vcpu.hart.read_gpr(SP), vcpu.mode, inspector.step
    halt = yield from reverse_step(inspector)
    vcpu = inspector.vcpu
    if not (is_return(inspector) or vcpu.mode != mode or vcpu.hart.read_gpr(SP) < sp):
        return halt
    # We are at the end of something that came back to pc: a call, or a trap. Back to the instruction before.
    timeline = past(inspector)
    found = _back_to(inspector, {pc - length for length in CALL_LENGTHS} | {pc}, sp, mode, origin)
    if found is None:
        timeline.goto(origin)
        return (yield from reverse_step(inspector))
    return found


def reverse_finish(inspector: Inspector) -> Moves:
    """Back to the call of this function. Raises ConfigError where the caller cannot be told."""
    yield
    vcpu, origin = inspector.vcpu, inspector.step
    address = return_address(inspector)
    if address is None:
        raise ConfigError("no caller is known here: this is the outermost function, or code without frames")
    found = _back_to(inspector, {address - length for length in CALL_LENGTHS}, vcpu.hart.read_gpr(SP), vcpu.mode,
                     origin)
    if found is None:
        past(inspector).goto(origin)
        return inspector.stopped(CHANGED, "its call is not in the past that is known")
    return found


def _back_to(inspector: Inspector, addresses: set[int], lowest_sp: int, mode: int, origin: int) -> Halt | None:
    """The last time before `origin` that the vCPU was at one of these addresses in this frame or one further out."""
    timeline, index = past(inspector), inspector.vcpu_index
    vm = inspector.vm
    inspector.exit = None
    with unstopped(vm):
        vm.breakpoints = frozenset(addresses)
        while timeline.reverse_continue() is not None:
            vcpu = vm.vcpus[index]
            hart = vcpu.hart
            if hart.pc in addresses and hart.read_gpr(SP) >= lowest_sp and vcpu.mode == mode and vm.steps < origin:
                return inspector.stopped(CHANGED, "went back")
        return None


def last_writer(inspector: Inspector, what: Watchpoint) -> Moves:
    """Back to before the step that last wrote this: memory, a page-table entry, a register or a CSR."""
    yield
    timeline, origin = past(inspector), inspector.step
    inspector.exit = None
    if what.watched.is_memory:
        stop = last_write(timeline, what.where, what.size)
    else:
        stop = last_change(timeline, Until(what.vcpu, UNTIL_OF[what.watched], what.where))
    if stop is None:
        timeline.goto(origin)
        return inspector.stopped(CHANGED, f"{what.name or 'it'} was not written in the past that is known")
    text = stop.hit.text if stop.hit is not None else f"this step changes {what.name}"
    return inspector.stopped(CHANGED, text)
