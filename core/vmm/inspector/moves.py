"""A debugger's moves forwards: a step, over a call, to a function's end, on and on. Backwards: back.py; by exits:
exit_moves.py.

`over` and `finish` know calls by where they return to and by the stack: the callee of a recursion returns to the same
address, but with a lower sp.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from ...errors import ConfigError
from ...hart import UNTIL_STEP
from ...isa.registers import NUMBER
from ...machine.watching import Until
from ..gdb.target import BREAKPOINT, CHANGED, Halt
from .calls import caller, next_address
from .inspector import Inspector, Moves

SP: Final = NUMBER["sp"]


@contextmanager
def one_step(inspector: Inspector) -> Iterator[None]:
    """Runs end when the vCPU looked at has taken one step that is not sleep; what else there is to stop at waits."""
    vm = inspector.vm
    before = vm.breakpoints, vm.until
    vm.breakpoints, vm.until = frozenset(), Until(inspector.vcpu_index, UNTIL_STEP)
    try:
        yield
    finally:
        vm.breakpoints, vm.until = before


def step(inspector: Inspector) -> Moves:
    """One step of the vCPU looked at: an instruction, or a trap that it takes. Others keep their turns meanwhile."""
    with one_step(inspector):
        while True:
            halt = inspector.run_slice()
            if halt is not None:
                return inspector.stopped(CHANGED, "stepped") if halt.reason == CHANGED else halt
            yield


def go_on(inspector: Inspector) -> Moves:
    """On, until something stops it."""
    inspector.place_again()
    while True:
        halt = inspector.run_slice()
        if halt is not None:
            return halt
        yield


def run_to(inspector: Inspector, address: int, lowest_sp: int, mode: int | None) -> Moves:
    """On, until the vCPU looked at is at `address` in `mode` (None: in any), in a frame no deeper than `lowest_sp`; or
    something else stops it."""
    index, is_own = inspector.vcpu_index, address in {each.address for each in inspector.breakpoints}
    inspector.place_again([address])
    try:
        while True:
            halt = inspector.run_slice()
            if halt is None:
                yield
                continue
            vcpu = inspector.vm.vcpus[index]
            if halt.reason != BREAKPOINT or vcpu.hart.pc != address or halt.hart != index or is_own:
                return halt
            if vcpu.hart.read_gpr(SP) >= lowest_sp and mode in (None, vcpu.mode):
                return inspector.stopped(CHANGED, "came back")
    finally:
        inspector.place_again()


def over(inspector: Inspector) -> Moves:
    """A step; but a call, a system call's too, is taken as one."""
    address = next_address(inspector)
    if address is None:
        return (yield from step(inspector))
    vcpu = inspector.vcpu
    return (yield from run_to(inspector, address, vcpu.hart.read_gpr(SP), vcpu.mode))


def finish(inspector: Inspector) -> Moves:
    """To where this function was called from; out of a trap handler, to what it interrupted. Raises ConfigError where
    that cannot be told."""
    frame = caller(inspector)
    if frame is None:
        raise ConfigError("no caller is known here: this is the outermost function, or code without frames")
    vcpu = inspector.vcpu
    sp = vcpu.hart.read_gpr(SP) if frame.sp is None else frame.sp
    return (yield from run_to(inspector, frame.address, sp, None if frame.is_interrupted else vcpu.mode))


def goto(inspector: Inspector, step: int) -> Moves:
    """Be where the clock shows `step`, before or after. Raises ConfigError for one before the past's beginning, and for
    going back without a past."""
    if inspector.timeline is None and step < inspector.step:
        raise ConfigError("this guest writes to the host's disks or folders, and cannot be taken back in time")
    if inspector.timeline is not None and step <= inspector.end:
        inspector.timeline.goto(step)
        inspector.exit = None
        return inspector.stopped(CHANGED, f"at step {step:,}")
    while inspector.step < step:
        halt = inspector.run_slice(step)
        if halt is not None:
            return halt
        yield
    return inspector.stopped(CHANGED, f"at step {step:,}")


def ended(halt: Halt | None) -> bool:
    """Whether the guest cannot go on from here, except back."""
    return halt is not None and halt.reason in ("ENDED", "GUEST_FAULT", "END", "PARTED")
