"""What a program must have executed for a known deviation of QEMU to explain a difference: accesses to memory.

As in qemu_situations.py.
"""

from __future__ import annotations

from .qemu_evidence import Evidence, situation
from .qemu_layout import END, RAM
from .qemu_trace import MXR, NO_RESERVATION, Executed

U64, PAGE = (1 << 64) - 1, 4096
# Fields of mstatus and of envcfg.
MPRV, MPV = 1 << 17, 1 << 39
PBMTE, ADUE = 1 << 62, 1 << 61
# Exceptions, and the pseudoinstructions of implicit accesses.
STORE_ACCESS_FAULT, STORE_PAGE_FAULT, STORE_GUEST_PAGE_FAULT = 7, 15, 23
FETCH_FAULTS, ACCESS_FAULTS, GUEST_PAGE_FAULTS = (1, 12, 20), (5, 7), (20, 21, 23)
PTE_READ, PTE_WRITE = 0x3000, 0x3020
WIDTHS = {"h": 2, "w": 4, "d": 8}
CACHE_BLOCK = ("cbo.inval", "cbo.clean", "cbo.flush")
ZCB = ("c.lbu", "c.lh", "c.lhu", "c.sb", "c.sh")


def _is_managed_as_load(one: Executed) -> bool:
    """A cache-block management instruction that trapped, as neither a load nor a store may go there."""
    return one.name in CACHE_BLOCK and not one.retired and one.cause == one.as_load != 0 != one.as_store


@situation("an SC without a reservation")
def _lacks_reservation(evidence: Evidence) -> bool:
    """An SC trapped that had no reservation."""
    last = evidence.stretch[-1]
    return last.name in ("sc.w", "sc.d") and last.reservation == NO_RESERVATION and not last.retired


@situation("code executed without FENCE.I")
def _unfenced_code(evidence: Evidence) -> bool:
    """An instruction was executed whose bytes had been stored since the last FENCE.I."""
    return any(one.is_stale for one in evidence.stretch)


@situation("an HLVX that QEMU has fault as a fetch")
def _hlvx_on_qemu(evidence: Evidence) -> bool:
    """An HLVX was executed that on QEMU raised an exception of a fetch, or none where ours met PMP."""
    theirs, last = evidence.theirs, evidence.stretch[-1]
    if last.name.startswith("hlvx") and last.cause in ACCESS_FAULTS and evidence.program.csrs["pmpcfg0"] & 0xFFFFFF:
        return True
    return theirs.get("mcause", 0) in FETCH_FAULTS and any(
        one.name.startswith("hlvx") and one.pc == theirs.get("mepc", 0) for one in evidence.stretch
    )


@situation("a cache-block instruction where no memory is")
def _cbo_of_no_memory(evidence: Evidence) -> bool:
    """A cache-block management instruction trapped at an address that is permitted, but no memory."""
    last = evidence.stretch[-1]
    return last.name in CACHE_BLOCK and not last.retired and last.place >= 0 and not RAM <= last.place < END


@situation("a guest access while henvcfg is not menvcfg")
def _other_gates(evidence: Evidence) -> bool:
    """A guest access with V=0 (HLV, HSV, or by MPRV) while henvcfg's PBMTE or ADUE is not menvcfg's."""
    return any(
        one.mode in ("M", "S", "U")
        and (one.name.startswith(("hlv", "hsv")) or one.mstatus & (MPRV | MPV) == MPRV | MPV)
        and any(gates & (PBMTE | ADUE) for gates in evidence.trace.gates)
        for one in evidence.stretch
    )


@situation("a VS-stage entry to update that the G-stage protects")
def _update_without_w(evidence: Evidence) -> bool:
    """A VS-stage entry was to get A or D in a page that the G-stage does not let be written."""
    ours = evidence.ours
    return ours.get("mcause", 0) in GUEST_PAGE_FAULTS and ours.get("mtinst", 0) == PTE_WRITE


@situation("QEMU reports the second page of a straddling access")
def _later_part(evidence: Evidence) -> bool:
    """A load or store that straddles two pages trapped: ours at its address, QEMU at the second page."""
    last, ours, theirs = evidence.stretch[-1], evidence.ours, evidence.theirs
    if last.retired or last.decoded is None or ours.get("mcause") != theirs.get("mcause"):
        return False
    address = ours.get("mtval", 0)
    size = WIDTHS.get(last.name.removeprefix("f").removesuffix("u")[1:].removeprefix("v."), 1)
    second = (address | PAGE - 1) + 1
    return second < address + size and theirs.get("mtval") == second & U64


@situation("PMP or PMA denies what QEMU reports as a guest-page fault of a table")
def _closed_to_walks(evidence: Evidence) -> bool:
    """Ours raised an access fault, QEMU the guest-page fault of the same kind of access, for the read of a table; the
    program has PMP entries before the one that opens the arena, or one of the G-stage's tables lies outside of it."""
    ours, theirs = evidence.ours, evidence.theirs
    causes = ours.get("mcause", 0), theirs.get("mcause", 0)
    if causes not in ((1, 20), (5, 21), (7, 23)) or theirs.get("mtinst") != PTE_READ:
        return False
    is_closed = bool(evidence.program.csrs["pmpcfg0"] & 0xFFFFFF)
    return is_closed or evidence.trace.leaves_arena(ours.get("hgatp", 0), theirs.get("mtval2", 0) << 2)


@situation("an AMO that as a load faults otherwise")
def _amo_as_load(evidence: Evidence) -> bool:
    """An AMO trapped that a load in its place would raise another exception for, which is QEMU's."""
    last, theirs = evidence.stretch[-1], evidence.theirs
    return (
        last.name.startswith("amo")
        and last.as_load not in (0, last.cause)
        and (theirs.get("mcause"), theirs.get("mepc")) == (last.as_load, last.pc)
    )


@situation("an AMO trapped below M-mode")
def _amo_below(evidence: Evidence) -> bool:
    """A handler below M-mode dealt with the page fault of an AMO, or would with that of a load in its place, which is
    another; M-mode may have interrupted it."""
    return any(
        one.name.startswith("amo")
        and one.cause in (STORE_PAGE_FAULT, STORE_GUEST_PAGE_FAULT)
        and one.as_load not in (0, one.cause)
        and one.entry >= evidence.entry - 1
        and (one.target in ("S", "VS") or evidence.was_given("medeleg", 1 << one.as_load))
        for one in evidence.trace.traps
    )


@situation("a cache-block instruction that as a store faults otherwise")
def _block_as_store(evidence: Evidence) -> bool:
    """A cache-block management instruction trapped as a load would; a store in its place would raise another
    exception, which is QEMU's."""
    last, theirs = evidence.stretch[-1], evidence.theirs
    return (
        _is_managed_as_load(last)
        and last.as_store != last.cause
        and (theirs.get("mcause"), theirs.get("mepc")) == (last.as_store, last.pc)
    )


@situation("a cache-block instruction that as a store faults otherwise, in a guest that has a handler")
def _block_as_store_below(evidence: Evidence) -> bool:
    """The same, and one of the two exceptions is a handler's below M-mode, which M-mode may have interrupted."""
    return any(
        _is_managed_as_load(one)
        and one.as_store != one.cause
        and one.entry >= evidence.entry - 1
        and (one.target in ("S", "VS") or evidence.was_given("medeleg", 1 << one.as_store))
        for one in evidence.trace.traps
    )


@situation("a cache-block instruction trapped while the hart sets A and D")
def _block_with_updates(evidence: Evidence) -> bool:
    """A cache-block management instruction trapped on its way to memory while the hart sets A and D."""
    return bool(evidence.program.csrs["menvcfg"] & ADUE) and any(map(_is_managed_as_load, evidence.trace.traps))


@situation("an SC of another width than its LR")
def _sc_of_other_width(evidence: Evidence) -> bool:
    """An SC that had a reservation was executed; the LR that made it was of the other width."""
    width = ""
    for one in evidence.trace.executed:
        if one.name in ("lr.w", "lr.d") and one.retired:
            width = one.name[-1]
        is_paired = one.name in ("sc.w", "sc.d") and one.reservation != NO_RESERVATION and one.retired
        if is_paired and one.name[-1] != width and one.entry == evidence.entry:
            return True
    return False


@situation("a load or store of Zcb trapped")
def _zcb_access(evidence: Evidence) -> bool:
    """The last exception that told of an instruction was raised by a load or store of Zcb."""
    return any(one.decoded is not None and one.decoded.row.name in ZCB for one in evidence.trace.traps)


@situation("page tables stored to without a fence")
def _unfenced_tables(evidence: Evidence) -> bool:
    """Page tables were stored to, and not fenced."""
    return evidence.entry in evidence.trace.stale_tables


@situation("a cache-block instruction's fault in a handler that folds tval")
def _folded_block(evidence: Evidence) -> bool:
    """A handler below M-mode dealt with the fault of a cache-block instruction within its block."""
    return any(
        one.name.startswith("cbo.") and one.target in ("S", "VS") and one.operand & 63 for one in evidence.stretch
    )


@situation("an AMO trapped while the hart sets A and D")
def _amo_with_updates(evidence: Evidence) -> bool:
    """An AMO trapped on its way to memory while the hart sets A and D."""
    return bool(evidence.program.csrs["menvcfg"] & ADUE) and any(
        one.name.startswith("amo") and one.cause in (STORE_ACCESS_FAULT, STORE_PAGE_FAULT, STORE_GUEST_PAGE_FAULT)
        for one in evidence.trace.executed
    )


@situation("MXR, and a guest's table that may not be read")
def _mxr_of_tables(evidence: Evidence) -> bool:
    """The read of a VS-stage table was a guest-page fault while mstatus.MXR was set."""
    last, ours = evidence.stretch[-1], evidence.ours
    is_read = ours.get("mcause", 0) in GUEST_PAGE_FAULTS and ours.get("mtinst", 0) == PTE_READ
    return is_read and bool(last.mstatus & MXR)
