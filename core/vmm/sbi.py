"""The Supervisor Binary Interface as Hartvisor serves it, to guests under every technique, bare included.

A call is an ecall from the guest's S-mode with the extension's id in a7 and, except for the legacy extensions, the
function's in a6. It retires like any instruction: one step, pc past the ecall. Source: RISC-V SBI specification 2.0.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from ..isa.causes import SSI
from ..isa.registers import NUMBER
from . import sbi_numbers as sbi
from .csr_file import SATP, SIP, SSTATUS, SSTATUS_SIE
from .emulate import Fault, load_ram, translate_access
from .traps import can_wake, inject, retire
from .walker import LOAD, SUPERVISOR

if TYPE_CHECKING:
    from .vcpu import Vcpu

A0: Final = NUMBER["a0"]
A1: Final = NUMBER["a1"]
A6: Final = NUMBER["a6"]
A7: Final = NUMBER["a7"]

_LOW32: Final = 0xFFFF_FFFF
_UNSUPPORTED: Final = (sbi.ERR_NOT_SUPPORTED, 0)

Arguments = tuple[int, int, int, int, int]
"""a0 to a4."""

Result = tuple[int, int] | None
"""(error, value) for a0 and a1; None if the call does not return to its caller."""

Function = Callable[["Vcpu", Arguments], Result]
LegacyFunction = Callable[["Vcpu", Arguments], "int | Fault | None"]


def call(vcpu: Vcpu) -> None:
    """Serve the call that the guest's ecall at pc makes."""
    hart = vcpu.hart
    extension, function = hart.read_gpr(A7), hart.read_gpr(A6)
    arguments = (hart.read_gpr(A0), hart.read_gpr(A1), hart.read_gpr(12), hart.read_gpr(13), hart.read_gpr(14))
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
    retire(vcpu)
    handler = EXTENSIONS.get(extension, {}).get(function)
    result = handler(vcpu, arguments) if handler is not None else _UNSUPPORTED
    if result is not None:
        hart.write_gpr(A0, result[0])
        hart.write_gpr(A1, result[1])


# --- hart masks


def _harts(vcpu: Vcpu, mask: int, base: int) -> list[Vcpu] | None:
    """The vCPUs that a hart mask names; None if one of them does not exist."""
    vcpus = vcpu.vm.vcpus
    if base == sbi.EVERY_HART:
        return list(vcpus)
    if base >= len(vcpus) or mask >> len(vcpus) - base:
        return None
    return [vcpus[base + bit] for bit in range(len(vcpus) - base) if mask >> bit & 1]


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


# --- TIME and IPI


def _set_timer(vcpu: Vcpu, arguments: Arguments) -> Result:
    vcpu.set_timer(arguments[0])
    return sbi.SUCCESS, 0


def _send_ipi(vcpu: Vcpu, arguments: Arguments) -> Result:
    targets = _harts(vcpu, arguments[0], arguments[1])
    if targets is None:
        return sbi.ERR_INVALID_PARAM, 0
    for target in targets:
        target.csrs.set_pending(SSI, True)
    return sbi.SUCCESS, 0


# --- RFENCE


def _fence_i(vcpu: Vcpu, arguments: Arguments) -> Result:
    # Nothing to do: a hart's decoded code follows every store by itself.
    return (sbi.SUCCESS, 0) if _harts(vcpu, arguments[0], arguments[1]) is not None else (sbi.ERR_INVALID_PARAM, 0)


def _sfence(vcpu: Vcpu, arguments: Arguments) -> Result:
    targets = _harts(vcpu, arguments[0], arguments[1])
    if targets is None:
        return sbi.ERR_INVALID_PARAM, 0
    for target in targets:
        target.technique.fence(None, None)
    return sbi.SUCCESS, 0


def _sfence_asid(vcpu: Vcpu, arguments: Arguments) -> Result:
    targets = _harts(vcpu, arguments[0], arguments[1])
    if targets is None:
        return sbi.ERR_INVALID_PARAM, 0
    for target in targets:
        target.technique.fence(None, arguments[4] & 0xFFFF)
    return sbi.SUCCESS, 0


# --- HSM


def _hart_start(vcpu: Vcpu, arguments: Arguments) -> Result:
    hart_id, start, opaque = arguments[:3]
    vcpus = vcpu.vm.vcpus
    if hart_id >= len(vcpus):
        return sbi.ERR_INVALID_PARAM, 0
    if not vcpus[hart_id].is_stopped:
        return sbi.ERR_ALREADY_AVAILABLE, 0
    if not vcpu.vm.ram.contains(start):
        return sbi.ERR_INVALID_ADDRESS, 0
    vcpus[hart_id].is_stopped = False
    _begin(vcpus[hart_id], start, opaque)
    return sbi.SUCCESS, 0


def _hart_stop(vcpu: Vcpu, arguments: Arguments) -> Result:
    vcpu.is_stopped = True
    vcpu.vm.needs_attention = True
    return None


def _hart_status(vcpu: Vcpu, arguments: Arguments) -> Result:
    vcpus = vcpu.vm.vcpus
    if arguments[0] >= len(vcpus):
        return sbi.ERR_INVALID_PARAM, 0
    target = vcpus[arguments[0]]
    return sbi.SUCCESS, sbi.HART_STOPPED if target.is_stopped else sbi.HART_STARTED


def _hart_suspend(vcpu: Vcpu, arguments: Arguments) -> Result:
    kind, resume, opaque = arguments[0] & _LOW32, arguments[1], arguments[2]
    if kind not in (sbi.SUSPEND_RETENTIVE, sbi.SUSPEND_NON_RETENTIVE):
        return sbi.ERR_INVALID_PARAM, 0
    if kind == sbi.SUSPEND_NON_RETENTIVE and not vcpu.vm.ram.contains(resume):
        return sbi.ERR_INVALID_ADDRESS, 0
    if not can_wake(vcpu):
        vcpu.is_waiting = True
        vcpu.vm.needs_attention = True
    if kind == sbi.SUSPEND_RETENTIVE:
        return sbi.SUCCESS, 0
    _begin(vcpu, resume, opaque)
    return None


def _begin(vcpu: Vcpu, start: int, opaque: int) -> None:
    """The register state in which HSM hands a hart to the supervisor; what it leaves undefined stays as it is."""
    vcpu.csrs.write(SATP, 0)
    vcpu.csrs.write(SSTATUS, vcpu.csrs.read(SSTATUS) & ~SSTATUS_SIE)
    vcpu.mode = SUPERVISOR
    vcpu.hart.write_gpr(A0, vcpu.index)
    vcpu.hart.write_gpr(A1, opaque)
    vcpu.hart.pc = start & ~1


# --- SRST


def _system_reset(vcpu: Vcpu, arguments: Arguments) -> Result:
    kind, reason = arguments[0] & _LOW32, arguments[1] & _LOW32
    if reason not in (sbi.RESET_NO_REASON, sbi.RESET_SYSTEM_FAILURE):
        return sbi.ERR_INVALID_PARAM, 0
    why = "shutdown" if reason == sbi.RESET_NO_REASON else "shutdown after a system failure"
    if kind in (sbi.RESET_COLD_REBOOT, sbi.RESET_WARM_REBOOT):
        why = "reboot"
    elif kind != sbi.RESET_SHUTDOWN:
        return sbi.ERR_INVALID_PARAM, 0
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
        return sbi.ERR_INVALID_PARAM, 0
    gpa, length = found
    if length:
        vcpu.vm.console.write(vcpu.vm.ram.read(gpa, length))
    return sbi.SUCCESS, length


def _console_read(vcpu: Vcpu, arguments: Arguments) -> Result:
    found = _console_range(vcpu, arguments)
    if found is None:
        return sbi.ERR_INVALID_PARAM, 0
    gpa, length = found
    data = vcpu.vm.console.read(length)
    if data:
        vcpu.vm.write_memory(gpa, data)
    return sbi.SUCCESS, len(data)


def _console_write_byte(vcpu: Vcpu, arguments: Arguments) -> Result:
    vcpu.vm.console.write(bytes((arguments[0] & 0xFF,)))
    return sbi.SUCCESS, 0


EXTENSIONS: Final[dict[int, dict[int, Function]]] = {
    sbi.BASE: {
        0: _constant(sbi.SPEC_VERSION), 1: _constant(sbi.IMPLEMENTATION_ID), 2: _constant(sbi.IMPLEMENTATION_VERSION),
        3: _probe,
        4: _constant(0), 5: _constant(0), 6: _constant(0),  # mvendorid, marchid, mimpid: 0 is legal for each
    },
    sbi.TIME: {0: _set_timer},
    sbi.IPI: {0: _send_ipi},
    sbi.RFENCE: {0: _fence_i, 1: _sfence, 2: _sfence_asid},  # the hfence functions are for harts with H
    sbi.HSM: {0: _hart_start, 1: _hart_stop, 2: _hart_status, 3: _hart_suspend},
    sbi.SRST: {0: _system_reset},
    sbi.DBCN: {0: _console_write, 1: _console_read, 2: _console_write_byte},
}
"""Extension id to function id to what serves it."""


# --- the legacy extensions


def _legacy_set_timer(vcpu: Vcpu, arguments: Arguments) -> int:
    _set_timer(vcpu, arguments)
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


def _legacy_send_ipi(vcpu: Vcpu, arguments: Arguments) -> int | Fault:
    targets = _legacy_harts(vcpu, arguments[0])
    if isinstance(targets, Fault):
        return targets
    for target in targets:
        target.csrs.set_pending(SSI, True)
    return 0


def _legacy_fence_i(vcpu: Vcpu, arguments: Arguments) -> int | Fault:
    targets = _legacy_harts(vcpu, arguments[0])
    return targets if isinstance(targets, Fault) else 0


def _legacy_sfence(vcpu: Vcpu, arguments: Arguments) -> int | Fault:
    targets = _legacy_harts(vcpu, arguments[0])
    if isinstance(targets, Fault):
        return targets
    for target in targets:
        target.technique.fence(None, None)
    return 0


def _shutdown(vcpu: Vcpu, arguments: Arguments) -> None:
    vcpu.vm.power_off("SBI shutdown")


LEGACY: Final[dict[int, LegacyFunction]] = {
    sbi.LEGACY_SET_TIMER: _legacy_set_timer,
    sbi.LEGACY_CONSOLE_PUTCHAR: _putchar,
    sbi.LEGACY_CONSOLE_GETCHAR: _getchar,
    sbi.LEGACY_CLEAR_IPI: _clear_ipi,
    sbi.LEGACY_SEND_IPI: _legacy_send_ipi,
    sbi.LEGACY_REMOTE_FENCE_I: _legacy_fence_i,
    sbi.LEGACY_REMOTE_SFENCE_VMA: _legacy_sfence,
    sbi.LEGACY_REMOTE_SFENCE_VMA_ASID: _legacy_sfence,
    sbi.LEGACY_SHUTDOWN: _shutdown,
}
"""Legacy extension id to what serves it."""
