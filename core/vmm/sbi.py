"""The Supervisor Binary Interface as Hartvisor serves it, to guests under every technique, bare included.

A call is an ecall from the guest's S-mode with the extension's id in a7 and, except for the legacy extensions, the
function's in a6. It retires like any instruction: one step, pc past the ecall. Source: RISC-V SBI specification 3.0.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from ..isa.causes import SSI
from . import sbi_fwft, sbi_pmu
from . import sbi_numbers as sbi
from .csr_file import SIP
from .emulate import Fault, load_ram, translate_access
from .sbi_call import (
    A0,
    A1,
    A6,
    A7,
    INVALID,
    LOW32,
    OK,
    UNSUPPORTED,
    Arguments,
    Function,
    Result,
    count_sent,
    find_harts,
)
from .sbi_hsm import HSM_FUNCTIONS, SUSP_FUNCTIONS
from .traps import inject, retire
from .walker import LOAD

if TYPE_CHECKING:
    from .vcpu import Vcpu

LegacyFunction = Callable[["Vcpu", Arguments], "int | Fault | None"]

_ASID: Final = 0xFFFF


def call(vcpu: Vcpu) -> None:
    """Serve the call that the guest's ecall at pc makes."""
    hart = vcpu.hart
    extension, function = hart.read_gpr(A7), hart.read_gpr(A6)
    arguments = (hart.read_gpr(A0), hart.read_gpr(A1), hart.read_gpr(12), hart.read_gpr(13), hart.read_gpr(14))
    vcpu.pmu.count(sbi.FW_CALL)
    legacy = LEGACY.get(extension)
    if legacy is not None:
        answer = legacy(vcpu, arguments)
        if isinstance(answer, Fault):
            inject(vcpu, answer.cause, answer.tval)
            return
        if answer is not None:
            hart.write_gpr(A0, answer)
        retire(vcpu)
        return
    handler = EXTENSIONS.get(extension, {}).get(function)
    if handler in _WRITERS:
        result = handler(vcpu, arguments)
        retire(vcpu)
    else:
        retire(vcpu)
        result = handler(vcpu, arguments) if handler is not None else UNSUPPORTED
    if result is not None:
        hart.write_gpr(A0, result[0])
        hart.write_gpr(A1, result[1])


def function_of(extension: int, function: int) -> Callable[..., Any] | None:
    """What serves a call with these in a7 and a6; None for one that is not supported."""
    return LEGACY.get(extension) or EXTENSIONS.get(extension, {}).get(function)


def _legacy_harts(vcpu: Vcpu, gva: int) -> list[Vcpu] | Fault:
    """The vCPUs in the bit vector at `gva`, all for a null pointer (as OpenSBI has it); or the fault of reading it.

    Harts that do not exist are ignored: the legacy calls have no error for them.
    """
    if gva == 0:
        return list(vcpu.vm.vcpus)
    pieces = translate_access(vcpu, gva, 8, LOAD, devices_allowed=False)
    if isinstance(pieces, Fault):
        return pieces
    mask = load_ram(vcpu, pieces)
    return [other for other in vcpu.vm.vcpus if mask >> other.index & 1]


# --- BASE


def _probe(vcpu: Vcpu, arguments: Arguments) -> Result:
    extension = arguments[0]
    return sbi.SUCCESS, int(extension in EXTENSIONS or extension in LEGACY)


def _constant(value: int) -> Function:
    return lambda vcpu, arguments: (sbi.SUCCESS, value)


# --- TIME, IPI and RFENCE: what the newer calls and the legacy ones have in common


def _arm_timer(vcpu: Vcpu, deadline: int) -> None:
    vcpu.pmu.count(sbi.FW_SET_TIMER)
    vcpu.set_timer(deadline)


def _interrupt(vcpu: Vcpu, targets: list[Vcpu]) -> None:
    count_sent(vcpu, targets, sbi.FW_IPI_SENT)
    for target in targets:
        target.csrs.set_pending(SSI, True)


def _fence_code(vcpu: Vcpu, targets: list[Vcpu]) -> None:
    """A hart's decoded code follows every store by itself: there is nothing to do but to count."""
    count_sent(vcpu, targets, sbi.FW_FENCE_I_SENT)


def _fence_tables(vcpu: Vcpu, targets: list[Vcpu]) -> None:
    count_sent(vcpu, targets, sbi.FW_SFENCE_VMA_SENT)
    for target in targets:
        target.fence(None, None)


def _fence_space(vcpu: Vcpu, targets: list[Vcpu], asid: int) -> None:
    count_sent(vcpu, targets, sbi.FW_SFENCE_VMA_ASID_SENT)
    for target in targets:
        target.fence(None, asid & _ASID)


def _set_timer(vcpu: Vcpu, arguments: Arguments) -> Result:
    _arm_timer(vcpu, arguments[0])
    return OK


def _for_harts(act: Callable[[Vcpu, list[Vcpu]], None]) -> Function:
    """The function that does `act` to the harts of the mask in its first two arguments."""

    def function(vcpu: Vcpu, arguments: Arguments) -> Result:
        targets = find_harts(vcpu, arguments[0], arguments[1])
        if targets is None:
            return INVALID
        act(vcpu, targets)
        return OK

    return function


def _sfence_asid(vcpu: Vcpu, arguments: Arguments) -> Result:
    targets = find_harts(vcpu, arguments[0], arguments[1])
    if targets is None:
        return INVALID
    _fence_space(vcpu, targets, arguments[4])
    return OK


# --- SRST


def _system_reset(vcpu: Vcpu, arguments: Arguments) -> Result:
    kind, reason = arguments[0] & LOW32, arguments[1] & LOW32
    if reason not in (sbi.RESET_NO_REASON, sbi.RESET_SYSTEM_FAILURE):
        return INVALID
    why = "shutdown" if reason == sbi.RESET_NO_REASON else "shutdown after a system failure"
    if kind in (sbi.RESET_COLD_REBOOT, sbi.RESET_WARM_REBOOT):
        why = "reboot"
    elif kind != sbi.RESET_SHUTDOWN:
        return INVALID
    vcpu.vm.power_off(f"SBI {why}")
    return None


# --- DBCN


def _console_range(vcpu: Vcpu, arguments: Arguments) -> tuple[int, int] | None:
    """The guest-physical range that DBCN's arguments name; None unless all of it is RAM."""
    length, low, high = arguments[:3]
    if high or not vcpu.vm.ram.contains(low, length):
        return None
    return low, length


def _console_write(vcpu: Vcpu, arguments: Arguments) -> Result:
    found = _console_range(vcpu, arguments)
    if found is None:
        return INVALID
    gpa, length = found
    if length:
        vcpu.vm.console.write(vcpu.vm.ram.read(gpa, length))
    return sbi.SUCCESS, length


def _console_read(vcpu: Vcpu, arguments: Arguments) -> Result:
    found = _console_range(vcpu, arguments)
    if found is None:
        return INVALID
    gpa, length = found
    data = vcpu.vm.console.read(length)
    if data:
        vcpu.vm.write_memory(gpa, data)
    return sbi.SUCCESS, len(data)


def _console_write_byte(vcpu: Vcpu, arguments: Arguments) -> Result:
    vcpu.vm.console.write(bytes((arguments[0] & 0xFF,)))
    return OK


EXTENSIONS: Final[dict[int, dict[int, Function]]] = {
    sbi.BASE: {
        0: _constant(sbi.SPEC_VERSION), 1: _constant(sbi.IMPLEMENTATION_ID), 2: _constant(sbi.IMPLEMENTATION_VERSION),
        3: _probe,
        4: _constant(0), 5: _constant(0), 6: _constant(0),  # mvendorid, marchid, mimpid: 0 is legal for each
    },
    sbi.TIME: {0: _set_timer},
    sbi.IPI: {0: _for_harts(_interrupt)},
    # the hfence functions are for harts with H
    sbi.RFENCE: {0: _for_harts(_fence_code), 1: _for_harts(_fence_tables), 2: _sfence_asid},
    sbi.HSM: HSM_FUNCTIONS,
    sbi.SUSP: SUSP_FUNCTIONS,
    sbi.PMU: sbi_pmu.FUNCTIONS,
    sbi.FWFT: sbi_fwft.FUNCTIONS,
    sbi.SRST: {0: _system_reset},
    sbi.DBCN: {0: _console_write, 1: _console_read, 2: _console_write_byte},
}
"""Extension id to function id to what serves it."""

_WRITERS: Final = (_console_write, _console_write_byte)
"""What they write goes out in the call's own step, which is not counted yet, as it does with a store to the UART."""


# --- the legacy extensions


def _legacy_set_timer(vcpu: Vcpu, arguments: Arguments) -> int:
    _arm_timer(vcpu, arguments[0])
    return 0


def _putchar(vcpu: Vcpu, arguments: Arguments) -> int:
    vcpu.vm.console.write(bytes((arguments[0] & 0xFF,)))
    return 0


def _getchar(vcpu: Vcpu, arguments: Arguments) -> int:
    data = vcpu.vm.console.read(1)
    return data[0] if data else -1


def _clear_ipi(vcpu: Vcpu, arguments: Arguments) -> int:
    was_pending = vcpu.csrs.read(SIP) >> SSI & 1
    vcpu.csrs.set_pending(SSI, False)
    return was_pending


def _legacy_for_harts(act: Callable[[Vcpu, list[Vcpu]], None]) -> LegacyFunction:
    """The legacy call that does `act` to the harts of the bit vector that its first argument points to."""

    def function(vcpu: Vcpu, arguments: Arguments) -> int | Fault:
        targets = _legacy_harts(vcpu, arguments[0])
        if isinstance(targets, Fault):
            return targets
        act(vcpu, targets)
        return 0

    return function


def _legacy_sfence_asid(vcpu: Vcpu, arguments: Arguments) -> int | Fault:
    targets = _legacy_harts(vcpu, arguments[0])
    if isinstance(targets, Fault):
        return targets
    _fence_space(vcpu, targets, arguments[3])
    return 0


def _shutdown(vcpu: Vcpu, arguments: Arguments) -> None:
    vcpu.vm.power_off("SBI shutdown")


LEGACY: Final[dict[int, LegacyFunction]] = {
    sbi.LEGACY_SET_TIMER: _legacy_set_timer,
    sbi.LEGACY_CONSOLE_PUTCHAR: _putchar,
    sbi.LEGACY_CONSOLE_GETCHAR: _getchar,
    sbi.LEGACY_CLEAR_IPI: _clear_ipi,
    sbi.LEGACY_SEND_IPI: _legacy_for_harts(_interrupt),
    sbi.LEGACY_REMOTE_FENCE_I: _legacy_for_harts(_fence_code),
    sbi.LEGACY_REMOTE_SFENCE_VMA: _legacy_for_harts(_fence_tables),
    sbi.LEGACY_REMOTE_SFENCE_VMA_ASID: _legacy_sfence_asid,
    sbi.LEGACY_SHUTDOWN: _shutdown,
}
"""Legacy extension id to what serves it."""
