"""What a program must have executed for a known deviation of QEMU to explain a difference; each situation by its name.

They are answered from our hart's trace of the program, so that no deviation hides a difference that merely looks like
it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property

from .qemu_layout import END, RAM
from .qemu_trace import MXR, NO_RESERVATION, Executed, Trace

Entry = Mapping[str, int]
U64, PAGE, PPN = (1 << 64) - 1, 4096, (1 << 44) - 1
OP_FP = 0x53
# Fields of mstatus and vsstatus, of envcfg, of mip.
FS, MPRV, TSR, GVA, MPV, SD = 3 << 13, 1 << 17, 1 << 22, 1 << 38, 1 << 39, 1 << 63
PBMTE, ADUE = 1 << 62, 1 << 61
VS_TIMER_AND_EXTERNAL = 1 << 6 | 1 << 10
RESERVED_IN_VSSTATUS, LEAKS_INTO_MSTATUS = 0x7FFFFFFCFFF39EDD, 0x7FFFFF30FF818655
# Exceptions, and the pseudoinstructions of implicit accesses.
ILLEGAL, STORE_ACCESS_FAULT, STORE_PAGE_FAULT, STORE_GUEST_PAGE_FAULT = 2, 7, 15, 23
FETCH_FAULTS, ACCESS_FAULTS, GUEST_PAGE_FAULTS = (1, 12, 20), (5, 7), (20, 21, 23)
PTE_READ, PTE_WRITE = 0x3000, 0x3020
PRIORITY = (11, 3, 7, 9, 1, 5, 12, 10, 2, 6, 13)
"""MEI, MSI, MTI, SEI, SSI, STI, SGEI, VSEI, VSSI, VSTI, LCOFI."""
MODES = (0, 8, 9, 10)
"""MODE of satp, vsatp and hgatp: Bare, Sv39, Sv48, Sv57."""
WIDTHS = {"h": 2, "w": 4, "d": 8}
FLOAT_CSRS = ("fflags", "frm", "fcsr")
CACHE_BLOCK = ("cbo.inval", "cbo.clean", "cbo.flush")
ZCB = ("c.lbu", "c.lh", "c.lhu", "c.sb", "c.sh")
CLOSED = ("senvcfg", "henvcfg", *(f"{level}stateen{i}" for level in "sh" for i in range(4)))
HIGH_PMP = frozenset((*(f"pmpcfg{i}" for i in range(4, 16, 2)), *(f"pmpaddr{i}" for i in range(16, 64))))


class Evidence:
    """An entry of a program's two logs, and, once asked for, the way of our hart to it.

    Of one program's entries evidence is asked for in order, since all share one trace.
    """

    def __init__(self, trace: Trace, index: int, ours: Sequence[Entry], theirs: Sequence[Entry]) -> None:
        self.ours, self.theirs = ours[index], theirs[index]
        self.before = theirs[:index]  # QEMU's entries before this one
        self._trace = trace
        self.program = trace.program
        self.entry = min(index, self.program.max_traps - 1)  # the final state is that after the last trap

    @cached_property
    def trace(self) -> Trace:
        """The way of our hart up to the entry."""
        self._trace.go_to(self.entry)
        if "mepc" in self.ours and self._trace.trapped_at[self.entry : self.entry + 1] != [self.ours["mepc"]]:
            raise RuntimeError(f"seed {self.program.seed}: our hart went another way in single steps")
        return self._trace

    @cached_property
    def stretch(self) -> list[Executed]:
        """What our hart executed since the entry before; the last is what trapped. For the final state, which tells of
        memory and of CSRs that no other entry holds, everything."""
        return self.trace.stretch(self.entry) if "mepc" in self.ours else self.trace.executed

    def was_given(self, csr: str, mask: int) -> bool:
        """Whether a CSR was ever given a value with some of the mask's bits."""
        return any(name == csr and value & mask for name, value, _ in self.trace.written())


def _gives_flags_only(one: Executed) -> bool:
    row = one.decoded.row if one.decoded and one.retired else None
    return row is not None and row.match & 0x7F == OP_FP and not row.format.operands["rd"].is_float


def _writes_float_csr_in_v(one: Executed) -> bool:
    return one.csr in FLOAT_CSRS and one.written is not None and one.mode in ("VS", "VU")


def _writes_no_bits(one: Executed) -> bool:
    is_bitwise = one.name[:5] in ("csrrs", "csrrc")
    return one.csr in FLOAT_CSRS and one.written is not None and is_bitwise and not one.operand


Situation = Callable[[Evidence], bool]
SITUATIONS: dict[str, Situation] = {}


def _situation(name: str) -> Callable[[Situation], Situation]:
    """Enter a function into SITUATIONS."""

    def enter(answer: Situation) -> Situation:
        SITUATIONS[name] = answer
        return answer

    return enter


@_situation("an SC without a reservation")
def _lacks_reservation(evidence: Evidence) -> bool:
    """An SC trapped that had no reservation."""
    last = evidence.stretch[-1]
    return last.name in ("sc.w", "sc.d") and last.reservation == NO_RESERVATION and not last.retired


@_situation("SRET in VS-mode with TSR")
def _tsr_in_vs(evidence: Evidence) -> bool:
    """SRET in VS-mode while TSR was set."""
    return any(one.name == "sret" and one.mode == "VS" and one.mstatus & TSR for one in evidence.stretch)


@_situation("code executed without FENCE.I")
def _unfenced_code(evidence: Evidence) -> bool:
    """An instruction was executed whose bytes had been stored since the last FENCE.I."""
    return any(one.is_stale for one in evidence.stretch)


@_situation("a PMP entry above 15")
def _high_pmp(evidence: Evidence) -> bool:
    """M-mode named a PMP entry above the sixteenth, which QEMU 10 does not have."""
    return any(
        one.mode == "M" and one.retired and (one.csr in HIGH_PMP)
        and evidence.theirs.get("mepc") == one.pc and evidence.theirs.get("mtval") == one.insn
        for one in evidence.stretch
    )  # fmt: skip


@_situation("GVA as QEMU has it")
def _gva_as_qemu_has_it(evidence: Evidence) -> bool:
    """QEMU's GVA: 1 after a trap from V=1 with a value in mtval, else as it was."""
    ours, theirs = evidence.ours, evidence.theirs
    if theirs.get("mstatus", 0) & MPV and theirs.get("mtval", 0):
        return bool(theirs.get("mstatus", 0) & GVA) and not ours.get("mstatus", 0) & GVA
    return True


@_situation("our vsstatus.SD says whether FS is dirty")
def _sound_sd(evidence: Evidence) -> bool:
    """Our vsstatus.SD is 1 exactly where its FS is Dirty."""
    status = evidence.ours.get("vsstatus", 0)
    return bool(status & SD) == (status & FS == FS)


@_situation("an instruction that writes flags only")
def _flags_only(evidence: Evidence) -> bool:
    """A floating-point instruction whose result goes to no f register."""
    return evidence.trace.ever(_gives_flags_only)


@_situation("a lower-numbered interrupt was pending too")
def _interrupts_collide(evidence: Evidence) -> bool:
    """An interrupt was taken while another of a lower number, but of less priority, was pending too."""
    return any(
        not one.retired and one.taken is not None and PRIORITY.index(one.taken) < PRIORITY.index(number)
        for one in evidence.stretch
        for number in range(one.taken or 0)
        if one.pending >> number & 1
    )  # fmt: skip


@_situation("the last trap not into M-mode went into VS-mode")
def _traps_to_vs(evidence: Evidence) -> bool:
    """A trap into VS-mode, and none into HS-mode since."""
    return next((one.target for one in reversed(evidence.trace.traps) if one.target in ("S", "VS")), "") == "VS"


@_situation("an HLVX that QEMU has fault as a fetch")
def _hlvx_on_qemu(evidence: Evidence) -> bool:
    """An HLVX was executed that on QEMU raised an exception of a fetch, or none where ours met PMP."""
    theirs, last = evidence.theirs, evidence.stretch[-1]
    if last.name.startswith("hlvx") and last.cause in ACCESS_FAULTS and evidence.program.csrs["pmpcfg0"] & 0xFFFFFF:
        return True
    return theirs.get("mcause", 0) in FETCH_FAULTS and any(
        one.name.startswith("hlvx") and one.pc == theirs.get("mepc", 0) for one in evidence.stretch
    )


@_situation("a floating-point CSR written with V=1")
def _flags_written_in_v(evidence: Evidence) -> bool:
    """fflags, frm or fcsr was written with V=1."""
    return evidence.trace.ever(_writes_float_csr_in_v)


@_situation("a cache-block instruction where no memory is")
def _cbo_of_no_memory(evidence: Evidence) -> bool:
    """A cache-block management instruction trapped at an address that is permitted, but no memory."""
    last = evidence.stretch[-1]
    return last.name in CACHE_BLOCK and not last.retired and last.place >= 0 and not RAM <= last.place < END


@_situation("a guest access while henvcfg is not menvcfg")
def _other_gates(evidence: Evidence) -> bool:
    """A guest access with V=0 (HLV, HSV, or by MPRV) while henvcfg's PBMTE or ADUE is not menvcfg's."""
    return any(
        one.mode in ("M", "S", "U")
        and (one.name.startswith(("hlv", "hsv")) or one.mstatus & (MPRV | MPV) == MPRV | MPV)
        and any(gates & (PBMTE | ADUE) for gates in evidence.trace.gates)
        for one in evidence.stretch
    )


@_situation("a VS-stage entry to update that the G-stage protects")
def _update_without_w(evidence: Evidence) -> bool:
    """A VS-stage entry was to get A or D in a page that the G-stage does not let be written."""
    ours = evidence.ours
    return ours.get("mcause", 0) in GUEST_PAGE_FAULTS and ours.get("mtinst", 0) == PTE_WRITE


@_situation("mstatus.MPV changed by a CSR instruction")
def _sets_mpv(evidence: Evidence) -> bool:
    """A CSR instruction changed mstatus.MPV."""
    return any(
        one.csr == "mstatus" and one.written is not None and (one.written ^ one.mstatus) & MPV
        for one in evidence.stretch
    )


@_situation("a reserved MODE in hgatp or vsatp")
def _unsupported_mode(evidence: Evidence) -> bool:
    """hgatp or vsatp was given a MODE that is reserved."""
    return any(csr in ("hgatp", "vsatp") and value >> 60 not in MODES for csr, value, _ in evidence.trace.written())


@_situation("QEMU reports the second page of a straddling access")
def _later_part(evidence: Evidence) -> bool:
    """A load or store that straddles two pages trapped: ours at its address, QEMU at the second page."""
    last, ours, theirs = evidence.stretch[-1], evidence.ours, evidence.theirs
    if last.retired or last.decoded is None or ours.get("mcause") != theirs.get("mcause"):
        return False
    address = ours.get("mtval", 0)
    size = WIDTHS.get(last.name.removeprefix("f").removesuffix("u")[1:].removeprefix("v."), 1)
    second = (address | PAGE - 1) + 1
    return second < address + size and theirs.get("mtval") == second & U64


@_situation("xRET to an odd address")
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


@_situation("PMP or PMA denies what QEMU reports as a guest-page fault of a table")
def _closed_to_walks(evidence: Evidence) -> bool:
    """The program has PMP entries before the one that opens the arena, or hgatp's table lies where no memory is; ours
    raised an access fault, QEMU the guest-page fault of the same kind of access, for the read of a table."""
    ours, theirs = evidence.ours.get("mcause", 0), evidence.theirs.get("mcause", 0)
    root = (evidence.ours.get("hgatp", 0) & PPN) << 12
    is_closed = bool(evidence.program.csrs["pmpcfg0"] & 0xFFFFFF) or not RAM <= root < END
    return is_closed and (ours, theirs) in ((1, 20), (5, 21), (7, 23)) and evidence.theirs.get("mtinst") == PTE_READ


@_situation("QEMU holds reserved bits of vsstatus")
def _leaked_vsstatus(evidence: Evidence) -> bool:
    """QEMU's vsstatus or, after V=1, its mstatus has bits that are reserved in vsstatus, and ours do not."""
    ours, theirs = evidence.ours, evidence.theirs
    return any(
        theirs.get(name, 0) & ~ours.get(name, 0) & mask
        for name, mask in (("vsstatus", RESERVED_IN_VSSTATUS), ("mstatus", LEAKS_INTO_MSTATUS))
    )


@_situation("VSTIP and VSEIP after a write to mip")
def _guest_interrupts_by_mip(evidence: Evidence) -> bool:
    """VSTIP or VSEIP differs in mip, which was written before."""
    differing = evidence.theirs.get("mip", 0) ^ evidence.ours.get("mip", 0)
    return bool(differing & VS_TIMER_AND_EXTERNAL) and any(
        one.csr == "mip" and one.written is not None for one in evidence.trace.executed
    )


@_situation("an AMO trapped below M-mode")
def _amo_below(evidence: Evidence) -> bool:
    """A handler below M-mode dealt with the page fault of an AMO; M-mode may have interrupted it."""
    return any(
        one.name.startswith("amo")
        and one.target in ("S", "VS")
        and one.cause in (STORE_PAGE_FAULT, STORE_GUEST_PAGE_FAULT)
        and one.entry >= evidence.entry - 1
        for one in evidence.trace.traps
    )


@_situation("a load or store of Zcb trapped")
def _zcb_access(evidence: Evidence) -> bool:
    """The last exception that told of an instruction was raised by a load or store of Zcb."""
    return any(one.decoded is not None and one.decoded.row.name in ZCB for one in evidence.trace.traps)


@_situation("the last trap into HS-mode was an access fault or a cache-block instruction's")
def _htinst_of_access_fault(evidence: Evidence) -> bool:
    """The last trap into HS-mode was an access fault of a load or store, or a cache-block instruction's."""
    last = [one for one in evidence.trace.traps if one.target == "S"][-1:]
    return any(one.cause in ACCESS_FAULTS or one.name.startswith("cbo.") for one in last)


@_situation("a guest-page fault before")
def _old_guest_address(evidence: Evidence) -> bool:
    """There has been a guest-page fault, the address of which QEMU remembers."""
    return any(one.cause in GUEST_PAGE_FAULTS for one in evidence.trace.traps)


@_situation("page tables stored to without a fence")
def _unfenced_tables(evidence: Evidence) -> bool:
    """Page tables were stored to, and not fenced."""
    return evidence.entry in evidence.trace.stale_tables


@_situation("a register that mstateen0 closes, in a guest that has a handler")
def _closed_in_v(evidence: Evidence) -> bool:
    """An access with V=1 to a register that mstateen0 closes was an illegal instruction, which a handler dealt with."""
    return any(
        one.csr in CLOSED and one.cause == ILLEGAL and one.mode in ("VS", "VU") and one.target != "M"
        for one in evidence.stretch
    )


@_situation("a cache-block instruction's fault in a handler that folds tval")
def _folded_block(evidence: Evidence) -> bool:
    """A handler below M-mode dealt with the fault of a cache-block instruction within its block."""
    return any(
        one.name.startswith("cbo.") and one.target in ("S", "VS") and one.operand & 63 for one in evidence.stretch
    )


@_situation("FS changed bit by bit after an instruction that writes flags only")
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


@_situation("a trap below M-mode")
def _traps_below(evidence: Evidence) -> bool:
    """A trap into HS-mode or VS-mode."""
    return any(one.target in ("S", "VS") for one in evidence.stretch)


@_situation("CSRRS or CSRRC of no bits on a floating-point CSR")
def _no_bits_written(evidence: Evidence) -> bool:
    """CSRRS or CSRRC on a floating-point CSR, with a register that is zero."""
    return evidence.trace.ever(_writes_no_bits)


@_situation("an AMO trapped while the hart sets A and D")
def _amo_with_updates(evidence: Evidence) -> bool:
    """An AMO trapped on its way to memory while the hart sets A and D."""
    return bool(evidence.program.csrs["menvcfg"] & ADUE) and any(
        one.name.startswith("amo") and one.cause in (STORE_ACCESS_FAULT, STORE_PAGE_FAULT, STORE_GUEST_PAGE_FAULT)
        for one in evidence.trace.executed
    )


@_situation("MXR, and a guest's table that may not be read")
def _mxr_of_tables(evidence: Evidence) -> bool:
    """The read of a VS-stage table was a guest-page fault while mstatus.MXR was set."""
    last, ours = evidence.stretch[-1], evidence.ours
    is_read = ours.get("mcause", 0) in GUEST_PAGE_FAULTS and ours.get("mtinst", 0) == PTE_READ
    return is_read and bool(last.mstatus & MXR)


@_situation("htinst as the program found it")
def _htinst_as_found(evidence: Evidence) -> bool:
    """The program has not yet trapped into HS-mode or VS-mode: it began with neither delegation nor interrupts, and
    QEMU's htinst has not changed; or its trace says so."""
    csrs, held = evidence.program.csrs, evidence.theirs.get("htinst")
    if (
        not csrs.get("medeleg")
        and not csrs.get("mie")
        and all(entry.get("htinst") == held for entry in evidence.before)
    ):
        return True
    return not any(one.target in ("S", "VS") for one in evidence.trace.traps)


@_situation("HS-mode's registers were read after a trap into VS-mode")
def _reads_after_vs(evidence: Evidence) -> bool:
    """htval was read since the entry before, while the last trap below M-mode had gone into VS-mode."""
    last = ""
    for one in evidence.trace.executed:
        if last == "VS" and one.csr == "htval" and one.retired and one.entry == evidence.entry:
            return True
        last = one.target if one.target in ("S", "VS") else last
    return False


@_situation("an odd xepc was read")
def _reads_odd_epc(evidence: Evidence) -> bool:
    """sepc, mepc or vsepc was given an odd value, as QEMU keeps it, or trapped at one; and was read."""
    theirs = evidence.theirs
    is_odd = any(theirs.get(name, 0) & ~evidence.ours.get(name, 0) & 1 for name in ("mepc", "sepc", "vsepc"))
    return is_odd and any(one.csr in ("mepc", "sepc", "vsepc") and one.retired for one in evidence.stretch)


@_situation("our mstatus.SD says whether FS is dirty")
def _sound_machine_sd(evidence: Evidence) -> bool:
    """Our mstatus.SD is 1 exactly where its FS is Dirty."""
    status = evidence.ours.get("mstatus", 0)
    return bool(status & SD) == (status & FS == FS)
