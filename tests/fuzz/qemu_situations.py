"""What a program must have executed for a known deviation of QEMU to explain a difference; each situation by its name.

They are answered from our hart's trace of the program, so that no deviation hides a difference that merely looks like
it. Those about accesses to memory are in qemu_accesses.py.
"""

from __future__ import annotations

from hartvisor.core.isa.instructions import BY_NAME

from .qemu_evidence import Evidence, situation
from .qemu_trace import Executed

OP_FP = 0x53
# Fields of mstatus and vsstatus, of mip.
FS, TSR, GVA, MPV, SD = 3 << 13, 1 << 22, 1 << 38, 1 << 39, 1 << 63
VS_TIMER_AND_EXTERNAL = 1 << 6 | 1 << 10
RESERVED_IN_VSSTATUS, LEAKS_INTO_MSTATUS = 0x7FFFFFFCFFF39EDD, 0x7FFFFF30FF818655
ILLEGAL = 2
ACCESS_FAULTS, GUEST_PAGE_FAULTS = (5, 7), (20, 21, 23)
PRIORITY = (11, 3, 7, 9, 1, 5, 12, 10, 2, 6, 13)
"""MEI, MSI, MTI, SEI, SSI, STI, SGEI, VSEI, VSSI, VSTI, LCOFI."""
MODES = (0, 8, 9, 10)
"""MODE of satp, vsatp and hgatp: Bare, Sv39, Sv48, Sv57."""
FLOAT_CSRS = ("fflags", "frm", "fcsr")
INLINE = (0x13, 0x17, 0x1B, 0x33, 0x37, 0x3B, 0x43, 0x47, 0x4B, 0x4F, OP_FP)
"""Major opcodes of what computes only: within these QEMU may drop what it takes to be without effect."""
GUEST_INTERRUPTS = (2, 6, 10)
"""VSSI, VSTI, VSEI."""
GUEST_BITS = sum(1 << number for number in GUEST_INTERRUPTS)
LCOFI = 13
CLOSED = ("senvcfg", "henvcfg", *(f"{level}stateen{i}" for level in "sh" for i in range(4)))
HIGH_PMP = frozenset((*(f"pmpcfg{i}" for i in range(4, 16, 2)), *(f"pmpaddr{i}" for i in range(16, 64))))


def _gives_flags_only(one: Executed) -> bool:
    row = one.decoded.row if one.decoded and one.retired else None
    return row is not None and row.match & 0x7F == OP_FP and not row.format.operands["rd"].is_float


def _writes_float_csr_in_v(one: Executed) -> bool:
    return one.csr in FLOAT_CSRS and one.written is not None and one.mode in ("VS", "VU")


def _guest_bits_given(one: Executed) -> int:
    """VSSI, VSTI and VSEI, as mip and mie have them, in the operand of a CSR instruction on vsip or vsie."""
    if one.csr not in ("vsip", "vsie") or one.written is None or one.decoded is None:
        return 0
    return GUEST_BITS & (one.decoded.rs1 if one.name.endswith("i") else one.operand)


def _gives_guest_bits(one: Executed) -> bool:
    return _guest_bits_given(one) != 0


def _writes_no_bits(one: Executed) -> bool:
    is_bitwise = one.name[:5] in ("csrrs", "csrrc")
    return one.csr in FLOAT_CSRS and one.written is not None and is_bitwise and not one.operand


@situation("SRET in VS-mode with TSR")
def _tsr_in_vs(evidence: Evidence) -> bool:
    """SRET in VS-mode while TSR was set."""
    return any(one.name == "sret" and one.mode == "VS" and one.mstatus & TSR for one in evidence.stretch)


@situation("a PMP entry above 15")
def _high_pmp(evidence: Evidence) -> bool:
    """M-mode named a PMP entry above the sixteenth, which QEMU 10 does not have."""
    return any(
        one.mode == "M" and one.retired and (one.csr in HIGH_PMP)
        and evidence.theirs.get("mepc") == one.pc and evidence.theirs.get("mtval") == one.insn
        for one in evidence.stretch
    )  # fmt: skip


@situation("GVA as QEMU has it")
def _gva_as_qemu_has_it(evidence: Evidence) -> bool:
    """QEMU's GVA: 1 after a trap from V=1 with a value in mtval, else as it was."""
    ours, theirs = evidence.ours, evidence.theirs
    if theirs.get("mstatus", 0) & MPV and theirs.get("mtval", 0):
        return bool(theirs.get("mstatus", 0) & GVA) and not ours.get("mstatus", 0) & GVA
    return True


@situation("our vsstatus.SD says whether FS is dirty")
def _sound_sd(evidence: Evidence) -> bool:
    """Our vsstatus.SD is 1 exactly where its FS is Dirty."""
    status = evidence.ours.get("vsstatus", 0)
    return bool(status & SD) == (status & FS == FS)


@situation("an instruction that writes flags only")
def _flags_only(evidence: Evidence) -> bool:
    """A floating-point instruction whose result goes to no f register."""
    return evidence.trace.ever(_gives_flags_only)


@situation("a lower-numbered interrupt was pending too")
def _interrupts_collide(evidence: Evidence) -> bool:
    """An interrupt was taken while another of a lower number, but of less priority, was pending too."""
    return any(
        not one.retired and one.taken is not None and PRIORITY.index(one.taken) < PRIORITY.index(number)
        for one in evidence.stretch
        for number in range(one.taken or 0)
        if one.pending >> number & 1
    )  # fmt: skip


@situation("the last trap not into M-mode went into VS-mode")
def _traps_to_vs(evidence: Evidence) -> bool:
    """A trap into VS-mode, and none into HS-mode since."""
    return next((one.target for one in reversed(evidence.trace.traps) if one.target in ("S", "VS")), "") == "VS"


@situation("a floating-point CSR written with V=1")
def _flags_written_in_v(evidence: Evidence) -> bool:
    """fflags, frm or fcsr was written with V=1."""
    return evidence.trace.ever(_writes_float_csr_in_v)


@situation("mstatus.MPV changed by a CSR instruction")
def _sets_mpv(evidence: Evidence) -> bool:
    """A CSR instruction changed mstatus.MPV."""
    return any(
        one.csr == "mstatus" and one.written is not None and (one.written ^ one.mstatus) & MPV
        for one in evidence.stretch
    )


@situation("a reserved MODE in hgatp or vsatp")
def _unsupported_mode(evidence: Evidence) -> bool:
    """hgatp or vsatp was given a MODE that is reserved."""
    return any(
        one.csr in ("hgatp", "vsatp") and one.written is not None and one.written >> 60 not in MODES
        for one in evidence.stretch
    )


@situation("xRET to an odd address")
def _odd_pc(evidence: Evidence) -> bool:
    """An xRET went to an xepc that had been given an odd value, as QEMU keeps it."""
    returns = {"sret": ("sepc", "vsepc"), "mret": ("mepc",)}
    executed, given = evidence.trace.executed, set[str]()
    for one in executed:
        if one.written is not None and one.csr in ("mepc", "sepc", "vsepc"):
            (given.add if one.written & 1 else given.discard)(one.csr)
        if one.retired and given.intersection(returns.get(one.name, ())) and one.entry == evidence.entry:
            return True
    return bool(given) and bool(evidence.theirs.get("mepc", 0) & 1)


@situation("QEMU holds reserved bits of vsstatus")
def _leaked_vsstatus(evidence: Evidence) -> bool:
    """QEMU's vsstatus or, after V=1, its mstatus has bits that are reserved in vsstatus, and ours do not."""
    ours, theirs = evidence.ours, evidence.theirs
    return any(
        theirs.get(name, 0) & ~ours.get(name, 0) & mask
        for name, mask in (("vsstatus", RESERVED_IN_VSSTATUS), ("mstatus", LEAKS_INTO_MSTATUS))
    )


@situation("VSTIP and VSEIP after a write to mip")
def _guest_interrupts_by_mip(evidence: Evidence) -> bool:
    """VSTIP or VSEIP differs in mip, which was written before."""
    differing = evidence.theirs.get("mip", 0) ^ evidence.ours.get("mip", 0)
    return bool(differing & VS_TIMER_AND_EXTERNAL) and any(
        one.csr == "mip" and one.written is not None for one in evidence.trace.executed
    )


@situation("the result of FROUND or FROUNDNX overwritten at once")
def _unread_rounding(evidence: Evidence) -> bool:
    """An f register that FROUND or FROUNDNX wrote was written anew, and nothing but computing lay between that did not
    read it."""
    written: int | None = None
    for one in evidence.stretch:
        row = BY_NAME.get(one.name) if one.retired else None
        if row is None or row.match & 0x7F not in INLINE:
            written = None
            continue
        operands = row.format.operands
        floats = {name: field.extract(one.insn) for name, field in operands.items() if field.is_float}
        target = floats.pop("rd", None)
        if written in floats.values():
            written = None
        if written is not None and target == written:
            return True
        if one.name.startswith("fround"):
            written = target
    return False


@situation("bits 2, 6 and 10 of vsip or vsie written")
def _guest_bits(evidence: Evidence) -> bool:
    """A CSR instruction on vsip or vsie had one of the bits in its operand that are read-only zero there, and VSSI,
    VSTI and VSEI in mip and mie."""
    return evidence.trace.ever(_gives_guest_bits)


@situation("an interrupt of VS-level after bits 2, 6 and 10 of vsip or vsie were written")
def _interrupt_after_guest_bits(evidence: Evidence) -> bool:
    """And since the entry before, ours took the interrupt of such a bit; or it is pending, and there was V=1, so that
    QEMU may have taken it."""
    given = 0
    for one in evidence.trace.executed:
        given |= _guest_bits_given(one)
    pending = evidence.ours.get("mip", 0) | evidence.theirs.get("mip", 0)
    return any(one.taken is not None and given >> one.taken & 1 for one in evidence.stretch) or (
        bool(given & pending) and any(one.mode in ("VS", "VU") for one in evidence.stretch)
    )


@situation("LCOFI was taken")
def _takes_lcofi(evidence: Evidence) -> bool:
    """Our hart took LCOFI."""
    return any(one.taken == LCOFI for one in evidence.stretch)


@situation("the last trap into HS-mode was an access fault or a cache-block instruction's")
def _htinst_of_access_fault(evidence: Evidence) -> bool:
    """The last trap into HS-mode was an access fault of a load or store, or a cache-block instruction's."""
    last = [one for one in evidence.trace.traps if one.target == "S"][-1:]
    return any(one.cause in ACCESS_FAULTS or one.name.startswith("cbo.") for one in last)


@situation("a guest-page fault before")
def _old_guest_address(evidence: Evidence) -> bool:
    """There has been a guest-page fault, the address of which QEMU remembers."""
    return any(one.cause in GUEST_PAGE_FAULTS for one in evidence.trace.traps)


@situation("a register that mstateen0 closes, in a guest that has a handler")
def _closed_in_v(evidence: Evidence) -> bool:
    """An access with V=1 to a register that mstateen0 closes was an illegal instruction, which a handler dealt with."""
    return any(
        one.csr in CLOSED and one.cause == ILLEGAL and one.mode in ("VS", "VU") and one.target != "M"
        for one in evidence.stretch
    )


@situation("FS changed bit by bit after an instruction that writes flags only")
def _bits_of_fs(evidence: Evidence) -> bool:
    """Since the entry before, a flags-only instruction, and CSRRS or CSRRC of a bit of FS; FS differs."""
    return (
        any((evidence.ours.get(name, 0) ^ evidence.theirs.get(name, 0)) & FS for name in ("mstatus", "vsstatus"))
        and _flags_only(evidence)
        and any(
            one.csr in ("mstatus", "sstatus", "vsstatus") and one.name[:5] in ("csrrs", "csrrc") and one.operand & FS
            for one in evidence.stretch
        )
    )


@situation("a trap below M-mode")
def _traps_below(evidence: Evidence) -> bool:
    """A trap into HS-mode or VS-mode."""
    return any(one.target in ("S", "VS") for one in evidence.stretch)


@situation("CSRRS or CSRRC of no bits on a floating-point CSR")
def _no_bits_written(evidence: Evidence) -> bool:
    """CSRRS or CSRRC on a floating-point CSR, with a register that is zero."""
    return evidence.trace.ever(_writes_no_bits)


@situation("htinst as the program found it")
def _htinst_as_found(evidence: Evidence) -> bool:
    """The program has not yet trapped into HS-mode or VS-mode: scause and vscause are still zero, and QEMU's htinst has
    not changed; or its trace says so."""
    held = evidence.theirs.get("htinst")
    is_untouched = not any(
        entry.get("scause", 0) | entry.get("vscause", 0) for entry in (*evidence.before, evidence.ours)
    )
    if is_untouched and all(entry.get("htinst") == held for entry in evidence.before):
        return True
    return not any(one.target in ("S", "VS") for one in evidence.trace.traps)


@situation("HS-mode's registers were read after a trap into VS-mode")
def _reads_after_vs(evidence: Evidence) -> bool:
    """htval was read since the entry before, while the last trap below M-mode had gone into VS-mode."""
    last = ""
    for one in evidence.trace.executed:
        if last == "VS" and one.csr == "htval" and one.retired and one.entry == evidence.entry:
            return True
        last = one.target if one.target in ("S", "VS") else last
    return False


@situation("an odd xepc was read")
def _reads_odd_epc(evidence: Evidence) -> bool:
    """sepc, mepc or vsepc was given an odd value, as QEMU keeps it, or trapped at one; and was read."""
    theirs = evidence.theirs
    is_odd = any(theirs.get(name, 0) & ~evidence.ours.get(name, 0) & 1 for name in ("mepc", "sepc", "vsepc"))
    return is_odd and any(one.csr in ("mepc", "sepc", "vsepc") and one.retired for one in evidence.stretch)


@situation("our mstatus.SD says whether FS is dirty")
def _sound_machine_sd(evidence: Evidence) -> bool:
    """Our mstatus.SD is 1 exactly where its FS is Dirty."""
    status = evidence.ours.get("mstatus", 0)
    return bool(status & SD) == (status & FS == FS)
