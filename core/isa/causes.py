"""Exception and interrupt causes, and which of them the delegation registers can pass on.

Each name below is the cause's number; EXCEPTIONS and INTERRUPTS hold the described rows.
Source: privileged manual, "Machine Cause (mcause) Register" and the H chapter's "Trap Cause Codes".
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Cause:
    """An exception's or interrupt's number in xcause, its name, what it means, and the manual's section."""

    number: int
    name: str
    description: str
    section: str


_exceptions: list[Cause] = []
_interrupts: list[Cause] = []

_MCAUSE = "Machine Cause (mcause) Register"
_H_CAUSES = "H: Trap Cause Codes"
_H_INTERRUPTS = "H: Hypervisor Interrupt (hvip, hip, and hie) Registers"
_MIP = "Machine Interrupt (mip and mie) Registers"


def _exception(number: int, name: str, description: str, section: str = _MCAUSE) -> int:
    _exceptions.append(Cause(number, name, description, section))
    return number


def _interrupt(number: int, name: str, description: str, section: str = _MIP) -> int:
    _interrupts.append(Cause(number, name, description, section))
    return number


INSTRUCTION_ADDRESS_MISALIGNED = _exception(0, "INSTRUCTION_ADDRESS_MISALIGNED", "Instruction address misaligned")
INSTRUCTION_ACCESS_FAULT = _exception(1, "INSTRUCTION_ACCESS_FAULT", "Instruction access fault")
ILLEGAL_INSTRUCTION = _exception(2, "ILLEGAL_INSTRUCTION", "Illegal instruction")
BREAKPOINT = _exception(3, "BREAKPOINT", "Breakpoint")
LOAD_ADDRESS_MISALIGNED = _exception(4, "LOAD_ADDRESS_MISALIGNED", "Load address misaligned")
LOAD_ACCESS_FAULT = _exception(5, "LOAD_ACCESS_FAULT", "Load access fault")
STORE_ADDRESS_MISALIGNED = _exception(6, "STORE_ADDRESS_MISALIGNED", "Store/AMO address misaligned")
STORE_ACCESS_FAULT = _exception(7, "STORE_ACCESS_FAULT", "Store/AMO access fault")
ECALL_FROM_U = _exception(8, "ECALL_FROM_U", "Environment call from U-mode or VU-mode")
ECALL_FROM_S = _exception(9, "ECALL_FROM_S", "Environment call from HS-mode")
ECALL_FROM_VS = _exception(10, "ECALL_FROM_VS", "Environment call from VS-mode", _H_CAUSES)
ECALL_FROM_M = _exception(11, "ECALL_FROM_M", "Environment call from M-mode")
INSTRUCTION_PAGE_FAULT = _exception(12, "INSTRUCTION_PAGE_FAULT", "Instruction page fault")
LOAD_PAGE_FAULT = _exception(13, "LOAD_PAGE_FAULT", "Load page fault")
STORE_PAGE_FAULT = _exception(15, "STORE_PAGE_FAULT", "Store/AMO page fault")
# Nothing here raises these two, but software may delegate and inject them; hedeleg must hold their bits.
SOFTWARE_CHECK = _exception(18, "SOFTWARE_CHECK", "Software check")
HARDWARE_ERROR = _exception(19, "HARDWARE_ERROR", "Hardware error")
INSTRUCTION_GUEST_PAGE_FAULT = _exception(
    20, "INSTRUCTION_GUEST_PAGE_FAULT", "Instruction guest-page fault", _H_CAUSES)
LOAD_GUEST_PAGE_FAULT = _exception(21, "LOAD_GUEST_PAGE_FAULT", "Load guest-page fault", _H_CAUSES)
VIRTUAL_INSTRUCTION = _exception(22, "VIRTUAL_INSTRUCTION", "Virtual instruction", _H_CAUSES)
STORE_GUEST_PAGE_FAULT = _exception(23, "STORE_GUEST_PAGE_FAULT", "Store/AMO guest-page fault", _H_CAUSES)

SSI = _interrupt(1, "SSI", "Supervisor software interrupt")
VSSI = _interrupt(2, "VSSI", "Virtual supervisor software interrupt", _H_INTERRUPTS)
MSI = _interrupt(3, "MSI", "Machine software interrupt")
STI = _interrupt(5, "STI", "Supervisor timer interrupt")
VSTI = _interrupt(6, "VSTI", "Virtual supervisor timer interrupt", _H_INTERRUPTS)
MTI = _interrupt(7, "MTI", "Machine timer interrupt")
SEI = _interrupt(9, "SEI", "Supervisor external interrupt")
VSEI = _interrupt(10, "VSEI", "Virtual supervisor external interrupt", _H_INTERRUPTS)
MEI = _interrupt(11, "MEI", "Machine external interrupt")
SGEI = _interrupt(12, "SGEI", "Supervisor guest external interrupt", _H_INTERRUPTS)
LCOFI = _interrupt(13, "LCOFI", "Local counter-overflow interrupt")

EXCEPTIONS: tuple[Cause, ...] = tuple(_exceptions)
INTERRUPTS: tuple[Cause, ...] = tuple(_interrupts)

_LOCAL_ABOVE = (47, 23, 46, 45, 22, 44, 43, 21, 42, 41, 20, 40)
_LOCAL_BELOW = (39, 19, 38, 37, 18, 36, 35, 17, 34, 33, 16, 32)
_CUSTOM = (14, 15, *range(24, 32), *range(48, 64))
DEFAULT_ORDER: tuple[int, ...] = (
    *_LOCAL_ABOVE, MEI, MSI, MTI, SEI, SSI, STI, SGEI, VSEI, VSSI, VSTI, LCOFI, *_LOCAL_BELOW, *_CUSTOM, 0, 4, 8)
"""All interrupt numbers, the most urgent first (AIA, "Defined major interrupts and default priorities", with the order
planned there for local interrupts); whose place is ours to choose, and those that mean nothing, come last."""

EXCEPTION_BY_NUMBER = {cause.number: cause for cause in EXCEPTIONS}
INTERRUPT_BY_NUMBER = {cause.number: cause for cause in INTERRUPTS}

INTERRUPT_BIT = 1 << 63
"""xcause's top bit on RV64: set for an interrupt."""


def bits(*numbers: int) -> int:
    """The mask with these bit numbers set, as delegation and interrupt registers hold causes."""
    return sum(1 << number for number in numbers)


# An M-mode ecall always stays in M-mode: its bit is read-only zero ("Machine Trap Delegation Registers").
MEDELEG_MASK = bits(*EXCEPTION_BY_NUMBER) & ~bits(ECALL_FROM_M)

# Read-only zero in hedeleg: traps that VS-mode cannot cause or must not see (H, "Hypervisor Trap Delegation
# Registers", table of hedeleg's bits).
HEDELEG_MASK = MEDELEG_MASK & ~bits(
    ECALL_FROM_S, ECALL_FROM_VS, INSTRUCTION_GUEST_PAGE_FAULT, LOAD_GUEST_PAGE_FAULT, VIRTUAL_INSTRUCTION,
    STORE_GUEST_PAGE_FAULT)

# The VS-level interrupts: writable in hideleg, read-only one in mideleg. LCOFI is writable in both ("Shlcofideleg").
HIDELEG_MASK = bits(VSSI, VSTI, VSEI)
MIDELEG_MASK = bits(SSI, STI, SEI, LCOFI)


def describe(xcause: int) -> str:
    """The cause register's value in the manual's words, for example "Store/AMO page fault"."""
    table = INTERRUPT_BY_NUMBER if xcause & INTERRUPT_BIT else EXCEPTION_BY_NUMBER
    number = xcause & ~INTERRUPT_BIT
    if number in table:
        return table[number].description
    return f"{'interrupt' if xcause & INTERRUPT_BIT else 'exception'} {number} (reserved or custom)"
