"""SBI: performance counters (PMU). What can be counted, and who counts it, is in pmu.py.

Source: RISC-V SBI specification 3.0, "Performance Monitoring Unit Extension".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ..isa.csrs_counters import EVENT_CYCLES, EVENT_INSTRUCTIONS, EVENT_TRAPS
from ..isa.paging import PAGE_SIZE
from . import sbi_numbers as sbi
from .csr_file import CYCLE
from .pmu import CYCLES, N_COUNTERS, RETIRED
from .sbi_call import INVALID, OK, UNSUPPORTED, Arguments, Function, Result

if TYPE_CHECKING:
    from .vcpu import Vcpu

_WIDTH: Final = 63 << 12
"""A counter's info: one less than its bits, in place."""

_VALUES: Final = 8
"""Where a snapshot's values begin, after the bitmap of overflows."""

_ENTRY: Final = 16
"""Bytes of a question about an event."""

MAX_QUESTIONS: Final = 4096
"""About events in one call; more make it fail."""

_SELECTORS: Final = (EVENT_CYCLES, EVENT_INSTRUCTIONS, EVENT_TRAPS)
_FIXED: Final = {sbi.CPU_CYCLES: CYCLES, sbi.INSTRUCTIONS: RETIRED}
"""General events to the counter that counts nothing else."""


def _find_selector(event_index: int, data: int) -> int | None:
    """The hart's code for an event, 0 for a firmware event; None if nothing counts it.

    Raw events are the hart's codes themselves. There are no cache events: no guest can tell how its hart caches.
    """
    kind, code = event_index >> sbi.EVENT_TYPE_SHIFT, event_index & (1 << sbi.EVENT_TYPE_SHIFT) - 1
    if kind in (sbi.EVENT_RAW, sbi.EVENT_RAW_V2):
        return data if not code and data in _SELECTORS else None
    if data:
        return None
    if kind == sbi.EVENT_GENERAL:
        return {sbi.CPU_CYCLES: EVENT_CYCLES, sbi.INSTRUCTIONS: EVENT_INSTRUCTIONS}.get(code)
    return 0 if kind == sbi.EVENT_FIRMWARE and code in sbi.FIRMWARE_EVENTS else None


def _can_count(vcpu: Vcpu, counter: int, event_index: int) -> bool:
    """Whether a counter is of the kind that an event, which is one of ours, needs."""
    if event_index >> sbi.EVENT_TYPE_SHIFT == sbi.EVENT_FIRMWARE:
        return vcpu.pmu.is_firmware(counter)
    return vcpu.pmu.can_select(counter) or _FIXED.get(event_index) == counter


def _find_counters(vcpu: Vcpu, base: int, mask: int) -> list[int] | None:
    """The counters of a set, ascending; None if one of them is none."""
    counters = [base + bit for bit in range(mask.bit_length()) if mask >> bit & 1]
    return counters if all(map(vcpu.pmu.is_valid, counters)) else None


def _count_counters(vcpu: Vcpu, arguments: Arguments) -> Result:
    return sbi.SUCCESS, N_COUNTERS


def _get_info(vcpu: Vcpu, arguments: Arguments) -> Result:
    counter = arguments[0]
    if not vcpu.pmu.is_valid(counter):
        return INVALID
    return sbi.SUCCESS, sbi.FIRMWARE_COUNTER if vcpu.pmu.is_firmware(counter) else _WIDTH | CYCLE + counter


def _configure(vcpu: Vcpu, arguments: Arguments) -> Result:
    base, mask, flags, event_index, data = arguments
    pmu, counters = vcpu.pmu, _find_counters(vcpu, base, mask)
    if counters is None or flags & ~sbi.CONFIG_FLAGS:
        return INVALID
    selector = _find_selector(event_index, data)
    if flags & sbi.CONFIG_SKIP_MATCH:
        candidates = counters[:1]
    else:
        candidates = [each for each in counters if each not in pmu.events and not pmu.is_running(each)]
    counter = next((each for each in candidates if _can_count(vcpu, each, event_index)), None)
    if counter is None or selector is None:
        return UNSUPPORTED
    pmu.configure(counter, event_index, selector)
    if flags & sbi.CONFIG_CLEAR_VALUE:
        pmu.write(counter, 0)
    if flags & sbi.CONFIG_AUTO_START:
        pmu.run(counter, True)
    return sbi.SUCCESS, counter


def _start(vcpu: Vcpu, arguments: Arguments) -> Result:
    base, mask, flags, value = arguments[:4]
    pmu, counters = vcpu.pmu, _find_counters(vcpu, base, mask)
    if counters is None or flags not in (0, sbi.START_SET_VALUE, sbi.START_FROM_SNAPSHOT):
        return INVALID
    if not all(each in pmu.events or each in (CYCLES, RETIRED) for each in counters):
        return INVALID
    if flags & sbi.START_FROM_SNAPSHOT and pmu.snapshot < 0:
        return sbi.ERR_NO_SHMEM, 0
    error = sbi.SUCCESS
    for counter in counters:
        if pmu.is_running(counter):
            error = sbi.ERR_ALREADY_STARTED
            continue
        if flags & sbi.START_SET_VALUE:
            pmu.write(counter, value)
        elif flags & sbi.START_FROM_SNAPSHOT:
            pmu.write(counter, vcpu.vm.ram.load(pmu.snapshot + _VALUES + 8 * (counter - base), 8))
        pmu.run(counter, True)
    return error, 0


def _stop(vcpu: Vcpu, arguments: Arguments) -> Result:
    base, mask, flags = arguments[:3]
    pmu, counters = vcpu.pmu, _find_counters(vcpu, base, mask)
    if counters is None or flags & ~(sbi.STOP_RESET | sbi.STOP_TAKE_SNAPSHOT):
        return INVALID
    if flags & sbi.STOP_TAKE_SNAPSHOT and pmu.snapshot < 0:
        return sbi.ERR_NO_SHMEM, 0
    error = sbi.SUCCESS
    for counter in counters:
        if pmu.is_running(counter):
            pmu.run(counter, False)
        else:
            error = sbi.ERR_ALREADY_STOPPED
        if flags & sbi.STOP_TAKE_SNAPSHOT:
            value = pmu.read(counter).to_bytes(8, "little")
            vcpu.vm.write_memory(pmu.snapshot + _VALUES + 8 * (counter - base), value)
        if flags & sbi.STOP_RESET:
            pmu.release(counter)
    if flags & sbi.STOP_TAKE_SNAPSHOT:
        vcpu.vm.write_memory(pmu.snapshot, bytes(_VALUES))  # without Sscofpmf none has overflown
    return error, 0


def _read_firmware(vcpu: Vcpu, arguments: Arguments) -> Result:
    return (sbi.SUCCESS, vcpu.pmu.read(arguments[0])) if vcpu.pmu.is_firmware(arguments[0]) else INVALID


def _read_firmware_high(vcpu: Vcpu, arguments: Arguments) -> Result:
    return OK if vcpu.pmu.is_firmware(arguments[0]) else INVALID  # zero where registers have 64 bits


def _set_snapshot(vcpu: Vcpu, arguments: Arguments) -> Result:
    low, high, flags = arguments[:3]
    if flags:
        return INVALID
    if low == high == sbi.NO_MEMORY:
        vcpu.pmu.snapshot = -1
        return OK
    if low % PAGE_SIZE:
        return INVALID
    if high or not vcpu.vm.ram.contains(low, PAGE_SIZE):
        return sbi.ERR_INVALID_ADDRESS, 0
    vcpu.pmu.snapshot = low
    return OK


def _get_event_info(vcpu: Vcpu, arguments: Arguments) -> Result:
    low, high, n_entries, flags = arguments[:4]
    if flags or low % _ENTRY:
        return INVALID
    if high or not vcpu.vm.ram.contains(low, _ENTRY * n_entries):
        return sbi.ERR_INVALID_ADDRESS, 0
    if n_entries > MAX_QUESTIONS:
        return sbi.ERR_FAILED, 0
    ram, entries = vcpu.vm.ram, range(low, low + _ENTRY * n_entries, _ENTRY)
    if any(ram.load(entry, 4) >> sbi.EVENT_INDEX_BITS for entry in entries):
        return INVALID
    for entry in entries:
        is_ours = _find_selector(ram.load(entry, 4), ram.load(entry + 8, 8)) is not None
        vcpu.vm.write_memory(entry + 4, int(is_ours).to_bytes(4, "little"))
    return OK


FUNCTIONS: Final[dict[int, Function]] = {
    0: _count_counters, 1: _get_info, 2: _configure, 3: _start, 4: _stop, 5: _read_firmware, 6: _read_firmware_high,
    7: _set_snapshot, 8: _get_event_info,
}
