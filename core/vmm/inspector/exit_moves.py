"""Moves from exit to exit. At an exit the guest stands before the instruction that trapped: what the hypervisor did is
then about to happen, and a step shows it. Exits at the same step differ in their number alone."""

from __future__ import annotations

from collections.abc import Container
from typing import Final

from ...errors import ConfigError
from ..exit_log import ExitLog
from ..exits import N_REASONS, label
from ..gdb.target import Halt
from .inspector import Inspector, Moves

EXIT: Final = "EXIT"
"""Why it halted: an exit that was looked for."""

ANY: Final = range(N_REASONS)


def log_of(inspector: Inspector) -> ExitLog:
    """Its exits. Raises ConfigError for bare, which has no hypervisor to exit to."""
    if inspector.log is None:
        raise ConfigError("on the bare machine there are no exits: nothing is virtualized")
    return inspector.log


def goto_exit(inspector: Inspector, number: int) -> Moves:
    """To an exit that has happened, by its number. Raises ConfigError for one that has not."""
    yield
    log = log_of(inspector)
    if not 0 <= number < len(log):
        raise ConfigError(f"exit {number:,}: there are {len(log):,} so far, from 0" if len(log) else
                          "there was no exit yet")
    logged = log[number]
    if inspector.timeline is not None:
        inspector.timeline.goto(logged.step)
    elif logged.step != inspector.step:
        raise ConfigError("this guest writes to the host's disks or folders, and cannot be taken back in time")
    return _arrive(inspector, number)


def next_exit(inspector: Inspector, reasons: Container[int] = ANY) -> Moves:
    """To the next exit, for one of `reasons` (as in ExitReason); one that has not happened yet is run to."""
    log = log_of(inspector)
    number = inspector.exit_number + (inspector.exit is not None)
    known = log.find(number, reasons)
    if known is not None:
        return (yield from goto_exit(inspector, known))
    if inspector.timeline is not None and inspector.is_past:
        inspector.timeline.goto(inspector.end)
    inspector.place_again()
    log.stop_at = reasons
    try:
        while True:
            halt = inspector.run_slice()
            if halt is not None:
                break
            yield
    finally:
        log.stop_at = ()
    if halt.reason != EXIT:
        return halt
    if inspector.timeline is None:
        return _arrive(inspector, len(log) - 1)
    return (yield from goto_exit(inspector, len(log) - 1))


def previous_exit(inspector: Inspector, reasons: Container[int] = ANY) -> Moves:
    """To the exit before, for one of `reasons`."""
    yield
    log = log_of(inspector)
    known = log.find(inspector.exit_number - 1, reasons, backwards=True)
    if known is not None:
        return (yield from goto_exit(inspector, known))
    return inspector.stopped(EXIT, "no such exit before this")


def _arrive(inspector: Inspector, number: int) -> Halt:
    logged = log_of(inspector)[number]
    inspector.exit = number
    inspector.vcpu_index = logged.vcpu
    return inspector.stopped(EXIT, f"exit {number:,}: {label(logged.reason)}")
