# Triggers (RISC-V Debug Specification, "Sdtrig"): breakpoints and watchpoints that software, or GDB through it, arms.  While none is
# armed they cost nothing: an armed load or store trigger keeps the pages it may match out of the translation cache, so that accesses
# to them take the slow path; code in a page that an armed execute trigger may match runs one instruction at a time.

cdef enum:
    TRIGGER_ACTS = TDATA1_LOAD | TDATA1_STORE | TDATA1_EXECUTE


cdef inline bint trigger_armed(HartState* h, int i) noexcept nogil:
    return h.tdata1[i] >> TDATA1_TYPE_SHIFT == TRIGGER_MCONTROL6 and h.tdata1[i] & (TDATA1_M | TDATA1_S | TDATA1_U | TDATA1_VS | TDATA1_VU)


cdef bint trigger_overlaps(HartState* h, int i, u64 first, u64 last) noexcept nogil:
    """Whether trigger i's condition on addresses holds for any in [first, last]."""
    cdef u64 address = h.tdata2[i], ones
    cdef u64 match = (h.tdata1[i] & TDATA1_MATCH) >> TDATA1_MATCH_SHIFT
    if match == MATCH_GE:
        return last >= address
    if match == MATCH_LT:
        return first < address
    ones = 0
    if match == MATCH_NAPOT:
        ones = (address ^ (address + 1)) & EVERY_BIT >> 1       # what counts lies above the lowest zero; all ones cannot be held
    return first <= (address | ones) and last >= (address & ~ones)


cdef bint trigger_in_mode(HartState* h, int i) noexcept nogil:
    """Whether trigger i acts now: in this mode, and not where it would overwrite what a trap handler has yet to save ("Native Triggers",
    the first of the two solutions)."""
    cdef u64 wanted, enabled
    cdef bint to_s = (h.csr[CSR_MEDELEG] >> CAUSE_BREAKPOINT & 1) != 0
    if h.privilege == M_MODE:
        wanted = TDATA1_M
        enabled = h.csr[CSR_MSTATUS] & MSTATUS_MIE
    elif h.privilege == U_MODE:
        wanted = TDATA1_VU if h.virtual else TDATA1_U
        enabled = 1
    elif h.virtual:
        wanted = TDATA1_VS
        enabled = 1
        if to_s and h.csr[CSR_HEDELEG] >> CAUSE_BREAKPOINT & 1:
            enabled = h.csr[CSR_VSSTATUS] & MSTATUS_SIE
    else:
        wanted = TDATA1_S
        enabled = h.csr[CSR_MSTATUS] & MSTATUS_SIE if to_s else 1
    return h.tdata1[i] & wanted != 0 and enabled != 0


cdef bint trigger_in_context(HartState* h, int i) noexcept nogil:
    """Whether trigger i's tdata3 lets it act in the present contexts ("textra64")."""
    cdef u64 extra = h.tdata3[i], ignored = 0
    cdef u64 value = (extra & TDATA3_MHVALUE) >> TDATA3_MHVALUE_SHIFT
    cdef u64 how = (extra & TDATA3_MHSELECT) >> TDATA3_MHSELECT_SHIFT
    cdef u64 atp = h.csr[CSR_VSATP] if h.virtual else h.csr[CSR_SATP]
    cdef int k
    if how == 4 and h.csr[CSR_MCONTEXT] & 0x1FFF != value:
        return False
    value = value << 1 | how >> 2
    if how & 3 == 1 and h.csr[CSR_MCONTEXT] != value:
        return False
    if how & 3 == 2 and (h.csr[CSR_HGATP] & HGATP_VMID) >> HGATP_VMID_SHIFT != value:
        return False
    value = (extra & TDATA3_SVALUE) >> TDATA3_SVALUE_SHIFT
    how = extra & TDATA3_SSELECT
    if how == 1:
        for k in range(4):
            if extra >> (TDATA3_SBYTEMASK_SHIFT + k) & 1:
                ignored |= <u64>0xFF << (8 * k)
        return (h.csr[CSR_SCONTEXT] ^ value) & ~ignored == 0
    return how == 0 or (atp & SATP_ASID) >> SATP_ASID_SHIFT == value & 0xFFFF


cdef bint trigger_matches(HartState* h, int i, u64 acts, u64 va, u64 size) noexcept nogil:
    """Whether trigger i, for itself, matches an access; `size` in bytes, 1 for an instruction, whose address alone counts."""
    cdef u64 wanted = (h.tdata1[i] & TDATA1_SIZE) >> TDATA1_SIZE_SHIFT
    if not trigger_armed(h, i) or not h.tdata1[i] & acts or not trigger_overlaps(h, i, va, va + size - 1):
        return False
    if wanted == 5:
        wanted = 4                          # the field counts 6 bytes (an instruction's length) between 4 and 8
    if wanted and not acts & TDATA1_EXECUTE and size != <u64>1 << (wanted - 1):
        return False
    return trigger_in_mode(h, i) and trigger_in_context(h, i)


cdef bint triggers_fire(HartState* h, u64 acts, u64 va, u64 size) noexcept nogil:
    """Whether a trigger, or a whole chain of them, matches the access; marks all that do as hit."""
    cdef bint fired = False, all_match = True
    cdef int i, first = 0
    for i in range(N_TRIGGERS):
        all_match = all_match and trigger_matches(h, i, acts, va, size)
        if h.tdata1[i] & TDATA1_CHAIN and i < N_TRIGGERS - 1:
            continue
        if all_match:
            fired = True
            for first in range(first, i + 1):
                h.tdata1[first] |= TDATA1_HIT0
        first = i + 1
        all_match = True
    return fired


cdef bint page_watched(HartState* h, u64 page, u64 acts) noexcept nogil:
    """Whether some trigger, or a whole chain of them, might match an access in the page, in whatever mode."""
    cdef bint all_may = True
    cdef int i
    for i in range(N_TRIGGERS):
        all_may = all_may and trigger_armed(h, i) and h.tdata1[i] & acts != 0 \
            and trigger_overlaps(h, i, page, page + OFFSET_MASK)
        if h.tdata1[i] & TDATA1_CHAIN and i < N_TRIGGERS - 1:
            continue
        if all_may:
            return True
        all_may = True
    return False


cdef u64 fired_at(HartState* h, u64 acts, u64 va, u64 size) noexcept nogil:
    """The lowest address of an access that a fired trigger watches: what xtval reports."""
    cdef u64 at
    cdef int i
    for at in range(va, va + size):
        for i in range(N_TRIGGERS):
            if h.tdata1[i] & acts and trigger_armed(h, i) and trigger_overlaps(h, i, at, at):
                return at
    return va


cdef bint watched(HartState* h, bint virtual, u64 va, u64 size, u64 acts, u64* tval) noexcept nogil:
    """Call before a load or store does anything else: True if a watchpoint stops it, with the breakpoint exception's facts left."""
    if not h.watching or not triggers_fire(h, acts, va, size):
        return False
    tval[0] = fired_at(h, acts, va, size)
    h.fault_guest = False
    h.fault_implicit = EXPLICIT
    h.fault_gva = virtual
    return True


cdef bint break_on_fetch(HartState* h) noexcept nogil:
    """Whether an execute trigger stops the instruction at pc: then its exception waits, before anything is fetched."""
    if not triggers_fire(h, TDATA1_EXECUTE, h.pc, 1):
        return False
    h.fault_insn = 0
    raise_plain(h, CAUSE_BREAKPOINT, h.pc, h.virtual)
    return True


cdef inline bint steps_here(HartState* h) noexcept nogil:
    """Whether code at pc must run one instruction at a time, for something of the host's or a trigger."""
    return breaks_in_page(h) or h.until_kind != UNTIL_NOTHING or (h.breaking and page_watched(h, h.pc & ~<u64>OFFSET_MASK, TDATA1_EXECUTE))


# ---------------------------------------------------------------- the CSRs

cdef void triggers_update(HartState* h) noexcept nogil:
    """Note whether any trigger is armed, and drop what was cached for the pages it watches."""
    cdef int i
    h.watching = h.breaking = False
    for i in range(N_TRIGGERS):
        if trigger_armed(h, i):
            h.watching = h.watching or h.tdata1[i] & (TDATA1_LOAD | TDATA1_STORE) != 0
            h.breaking = h.breaking or h.tdata1[i] & TDATA1_EXECUTE != 0
    hart_flush(h)


cdef u64 tdata1_legal(HartState* h, u64 value) noexcept nogil:
    """What tdata1 becomes: an address match with what is supported of its conditions, or off."""
    cdef u64 mask = h.csr_mask[CSR_TDATA1], size = (value & TDATA1_SIZE) >> TDATA1_SIZE_SHIFT
    if value >> TDATA1_TYPE_SHIFT != TRIGGER_MCONTROL6:
        return <u64>TRIGGER_DISABLED << TDATA1_TYPE_SHIFT
    value &= mask
    if (value & TDATA1_MATCH) >> TDATA1_MATCH_SHIFT > MATCH_LT:
        value &= ~TDATA1_MATCH
    if value & TDATA1_EXECUTE or size not in (1, 2, 3, 5):
        value &= ~TDATA1_SIZE
    return value


cdef u64 tdata3_legal(HartState* h, u64 value) noexcept nogil:
    cdef u64 how = (value & TDATA3_MHSELECT) >> TDATA3_MHSELECT_SHIFT
    value &= h.csr_mask[CSR_TDATA3]
    if how & 3 == 3 or (not h.has_h and how & 3):
        value &= ~TDATA3_MHSELECT
    if value & TDATA3_SSELECT == 3:
        value &= ~TDATA3_SSELECT
    return value


cdef bint trigger_write(HartState* h, u32 number, u64 value) noexcept nogil:
    """Write a trigger CSR; False if the number is none."""
    cdef u64 selected = h.csr[CSR_TSELECT]
    if number == CSR_TDATA1:
        h.tdata1[selected] = tdata1_legal(h, value)
    elif number == CSR_TDATA2:
        h.tdata2[selected] = value
    elif number == CSR_TDATA3:
        h.tdata3[selected] = tdata3_legal(h, value)
    elif number == CSR_HCONTEXT:
        csr_mask_write(h, CSR_MCONTEXT, value, h.csr_mask[number])
        return True
    else:
        return False
    triggers_update(h)
    return True


cdef u64 trigger_read(HartState* h, u32 number) noexcept nogil:
    """Read tdata1, tdata2, tdata3 or hcontext."""
    cdef u64 selected = h.csr[CSR_TSELECT]
    if number == CSR_TDATA1:
        return h.tdata1[selected]
    if number == CSR_TDATA2:
        return h.tdata2[selected]
    return h.tdata3[selected] if number == CSR_TDATA3 else h.csr[CSR_MCONTEXT]
