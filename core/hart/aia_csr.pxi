# The CSRs of the Advanced Interrupt Architecture: who may touch them, how they read, what writing them does (AIA, "Control and Status
# Registers"; "Smcsrind/Sscsrind").  Numbers are those of the registers really meant: with V=1 sireg is vsireg here.

cdef enum:
    CSR_ADVANCED = 2            # has_csr of a register that reads, writes or traps in a way of its own on such a hart


cdef int aia_reset(HartState* h, guest_files) except -1:
    """Make the hart ready: `guest_files` of its IMSIC, None without one.  ValueError for what cannot be."""
    cdef u64 guests = 0
    h.aia = h.enabled[EXT_SSAIA] != 0
    if guest_files is not None:
        if not h.enabled[EXT_SMAIA]:
            raise ValueError("interrupt files need a hart with Smaia")
        if not 0 <= guest_files <= (GUEST_FILES if h.has_h else 0):
            raise ValueError(f"a hart has 0 to {GUEST_FILES} interrupt files for guests, without H none; not {guest_files}")
        h.guest_files = guest_files
        h.n_files = S_FILE + 1 + h.guest_files
    for number in ADVANCED_CSRS:
        if h.has_csr[number] and (h.aia or number in WINDOW_CSRS):
            h.has_csr[number] = CSR_ADVANCED
    if h.n_files == 0:
        h.csr_mask[CSR_MSTATEEN0] &= ~<u64>MSTATEEN0_IMSIC
        h.csr_mask[CSR_HSTATEEN0] &= ~<u64>MSTATEEN0_IMSIC
    if h.guest_files == 0:
        h.csr_mask[CSR_MIE] &= ~<u64>HIP_SGEIP
        h.csr_mask[CSR_HIE] &= ~<u64>HIP_SGEIP
    else:
        h.csr[CSR_MIDELEG] |= HIP_SGEIP         # read-only one where guest external interrupts exist ("mideleg")
        guests = (<u64>2 << h.guest_files) - 2
    h.csr_mask[CSR_HGEIE] = guests
    return 0


WINDOW_CSRS = frozenset({
    CSR_MISELECT, CSR_MIREG, CSR_MIREG2, CSR_MIREG3, CSR_MIREG4, CSR_MIREG5, CSR_MIREG6,
    CSR_SISELECT, CSR_SIREG, CSR_SIREG2, CSR_SIREG3, CSR_SIREG4, CSR_SIREG5, CSR_SIREG6,
    CSR_VSISELECT, CSR_VSIREG, CSR_VSIREG2, CSR_VSIREG3, CSR_VSIREG4, CSR_VSIREG5, CSR_VSIREG6})
ADVANCED_CSRS = WINDOW_CSRS | {
    CSR_MTOPI, CSR_MTOPEI, CSR_MVIEN, CSR_MVIP, CSR_STOPI, CSR_STOPEI, CSR_VSTOPI, CSR_VSTOPEI,
    CSR_HVIEN, CSR_HVICTL, CSR_HVIPRIO1, CSR_HVIPRIO2, CSR_HGEIE, CSR_HSTATUS, CSR_HIDELEG,
    CSR_SIE, CSR_SIP, CSR_VSIE, CSR_VSIP, CSR_STIMECMP, CSR_VSTIMECMP}


# ---------------------------------------------------------------- the window

cdef inline bint is_alias(u32 number) noexcept nogil:
    """mireg, sireg, vsireg and their further parts."""
    return number - <u32>CSR_MIREG < 7 or number - <u32>CSR_SIREG < 7 or number - <u32>CSR_VSIREG < 7


cdef inline u32 window_of(u32 number) noexcept nogil:
    """The select register that goes with an alias."""
    return number & ~<u32>15


cdef inline bint is_priority(u64 select) noexcept nogil:
    return select >= IPRIO_FIRST and select <= IPRIO_LAST


cdef int window_file(HartState* h, u32 window) noexcept nogil:
    """The interrupt file behind a window, or NO_FILE."""
    if window == CSR_VSISELECT:
        return guests_file(h)
    if h.n_files == 0:
        return NO_FILE
    return M_FILE if window == CSR_MISELECT else S_FILE


cdef int window_check(HartState* h, u32 number) noexcept nogil:
    """May the alias be accessed?  What is selected decides; a register that only VS-mode lacks is the hypervisor's to emulate."""
    cdef u32 window = window_of(number)
    cdef u64 select = h.csr[window]
    cdef int denied = CSR_VIRTUAL if h.virtual else CSR_ILLEGAL, verdict
    if not h.aia or not (is_priority(select) or (select >= EIDELIVERY and select <= FILE_LAST)):
        return CSR_ILLEGAL
    if number != window + 1:
        return denied
    if is_priority(select):
        if window == CSR_VSISELECT or select & 1:
            return denied
        return CSR_OK if h.privilege == M_MODE else gate_check(h, MSTATEEN0_AIA)
    if window_file(h, window) == NO_FILE:
        return denied
    verdict = CSR_OK if h.privilege == M_MODE else gate_check(h, MSTATEEN0_IMSIC)
    if verdict != CSR_OK:
        return verdict
    if not file_has(select) or (window == CSR_SISELECT and filters_external(h)):
        return denied
    return CSR_OK


cdef u64 priorities_mask(HartState* h, int array) noexcept nogil:
    """The interrupts whose priorities can be set: those that the level can enable, but for its own external one."""
    if h.n_files == 0:
        return 0
    if array == M_ARRAY:
        return h.csr_mask[CSR_MIE] & ~HYPERVISOR_IRQS & ~MIP_MEIP
    return h.csr_mask[CSR_SIE] & ~SIP_SEIP | h.csr_mask[CSR_MIE] & HYPERVISOR_IRQS


cdef u64 window_read(HartState* h, u32 number) noexcept nogil:
    cdef u32 window = window_of(number)
    cdef u64 select = h.csr[window], value = 0, i
    cdef int file = window_file(h, window)
    if number != window + 1:
        return 0
    if is_priority(select) and window != CSR_VSISELECT and not select & 1:
        for i in range(8):
            value |= <u64>h.iprio[S_ARRAY if window == CSR_SISELECT else M_ARRAY][4 * (select - IPRIO_FIRST) + i] << 8 * i
        return value
    return file_read(&h.files[file], select) if file != NO_FILE and file_has(select) else 0


cdef void window_write(HartState* h, u32 number, u64 value) noexcept nogil:
    cdef u32 window = window_of(number)
    cdef u64 select = h.csr[window], irq, i
    cdef int file = window_file(h, window), array = S_ARRAY if window == CSR_SISELECT else M_ARRAY
    if number != window + 1:
        return
    if is_priority(select) and window != CSR_VSISELECT and not select & 1:
        for i in range(8):
            irq = 4 * (select - IPRIO_FIRST) + i
            if priorities_mask(h, array) >> irq & 1:
                h.iprio[array][irq] = value >> 8 * i & PRIORITY_MAX
        h.irq_check = True
    elif file != NO_FILE and file_has(select):
        file_write(h, file, select, value)


# ---------------------------------------------------------------- who may

cdef inline bint filters_external(HartState* h) noexcept nogil:
    """M-mode stands between S-mode and its interrupt file ("Interrupt filtering and virtual interrupts for supervisor level")."""
    return h.privilege == S_MODE and not h.virtual and h.csr[CSR_MVIEN] & MVIEN_SEIE != 0


cdef inline u64 advanced_gate(HartState* h, u32 number) noexcept nogil:
    """The bit of mstateen0 and hstateen0 that gates a register of these, or 0."""
    if number - <u32>CSR_SISELECT < 8 or number - <u32>CSR_VSISELECT < 8:
        return MSTATEEN0_CSRIND
    if number == CSR_STOPEI or number == CSR_VSTOPEI:
        return MSTATEEN0_IMSIC if h.n_files else 0
    if number in (CSR_STOPI, CSR_VSTOPI, CSR_HVIEN, CSR_HVICTL, CSR_HVIPRIO1, CSR_HVIPRIO2):
        return MSTATEEN0_AIA
    return 0


cdef int advanced_check(HartState* h, u32 number, bint write) noexcept nogil:
    """May the present mode access the register, which by the general rules it may?"""
    cdef bint traps = h.virtual and h.csr[CSR_HVICTL] & HVICTL_VTI != 0
    if is_alias(number):
        return window_check(h, number)
    if number == CSR_VSIE or number == CSR_VSIP:
        return CSR_VIRTUAL if traps else CSR_OK
    if number == CSR_VSTIMECMP:
        return CSR_VIRTUAL if traps and write else CSR_OK
    if number == CSR_VSTOPEI and guests_file(h) == NO_FILE:
        return CSR_VIRTUAL if h.virtual else CSR_ILLEGAL
    if (number == CSR_STOPEI or number == CSR_MTOPEI) and h.n_files == 0:
        return CSR_ILLEGAL
    if number == CSR_STOPEI and filters_external(h):
        return CSR_ILLEGAL
    return CSR_OK


# ---------------------------------------------------------------- reading

cdef u64 advanced_read(HartState* h, u32 number) noexcept nogil:
    cdef u64 separate = h.csr[CSR_MVIEN]
    if is_alias(number):
        return window_read(h, number)
    if number == CSR_SIE:
        return sie_bits(h)
    if number == CSR_SIP:
        return sip_bits(h)
    if number == CSR_VSIE:
        return vsie_bits(h)
    if number == CSR_VSIP:
        return vsip_bits(h)
    if number == CSR_HIDELEG:
        return hideleg_bits(h)
    if number == CSR_MTOPI:
        return machine_top(h)
    if number == CSR_STOPI:
        return supervisor_top(h)
    if number == CSR_VSTOPI:
        return guest_top(h)
    if number == CSR_MTOPEI:
        return file_claim_value(&h.files[M_FILE])
    if number == CSR_STOPEI:
        return file_claim_value(&h.files[S_FILE])
    if number == CSR_VSTOPEI:
        return file_claim_value(&h.files[guests_file(h)]) if guests_file(h) != NO_FILE else 0
    if number == CSR_MVIP:          # SSIP and SEIP are mip's while mvien leaves them alone, STIP while stimecmp does
        separate |= LOCAL_IRQS
        return h.csr[CSR_MVIP] & separate | h.csr[CSR_MIP] & mvip_aliases(h)
    return h.csr[number]


cdef inline u64 mvip_aliases(HartState* h) noexcept nogil:
    return (MIP_SSIP | MIP_SEIP) & ~h.csr[CSR_MVIEN] | (0 if supervisor_timer_on(h) else MIP_STIP)


# ---------------------------------------------------------------- writing

cdef void sie_write(HartState* h, u64 value, u64 mask) noexcept nogil:
    csr_mask_write(h, CSR_MIE, value, mask & h.csr[CSR_MIDELEG] & SUPERVISOR_IRQS)
    csr_mask_write(h, CSR_SIE, value, mask & virtual_irqs(h))


cdef void sip_write(HartState* h, u64 value, u64 mask) noexcept nogil:
    mask &= h.csr_mask[CSR_SIP]
    csr_mask_write(h, CSR_MIP, value, mask & h.csr[CSR_MIDELEG] & SUPERVISOR_IRQS)
    csr_mask_write(h, CSR_MVIP, value, mask & virtual_irqs(h))


cdef void mvien_write(HartState* h, u64 value) noexcept nogil:
    """mvip.SEIP keeps its value when mvien splits it from mip.SEIP or joins them again: the bit of h.csr that is not in use is zero."""
    cdef u64 soft = (h.csr[CSR_MIP] | h.csr[CSR_MVIP]) & MIP_SEIP
    csr_mask_write(h, CSR_MVIEN, value, h.csr_mask[CSR_MVIEN])
    csr_mask_write(h, CSR_MIP, soft & ~h.csr[CSR_MVIEN], MIP_SEIP)
    csr_mask_write(h, CSR_MVIP, soft & h.csr[CSR_MVIEN], MIP_SEIP)


cdef void hstatus_write(HartState* h, u64 value, u64 mask) noexcept nogil:
    if (value & HSTATUS_VGEIN) >> HSTATUS_VGEIN_SHIFT > h.guest_files:
        mask &= ~<u64>HSTATUS_VGEIN             # WLRL: the number of no file leaves the field as it was
    csr_mask_write(h, CSR_HSTATUS, value, mask)
    files_changed(h)


cdef void advanced_write(HartState* h, u32 number, u64 value) noexcept nogil:
    """Write a register of these."""
    cdef u64 separate = h.csr[CSR_MVIEN], mask = h.csr_mask[number]
    h.irq_check = True
    if is_alias(number):
        window_write(h, number, value)
    elif number == CSR_SIE:
        sie_write(h, value, EVERY_BIT)
    elif number == CSR_SIP:
        sip_write(h, value, EVERY_BIT)
    elif number == CSR_VSIE:
        csr_mask_write(h, CSR_MIE, value << 1, hideleg_bits(h) & VS_IRQS)
        sie_write(h, value, delegated_locals(h))
        csr_mask_write(h, CSR_VSIE, value, guests_locals(h))
    elif number == CSR_VSIP:
        csr_mask_write(h, CSR_HVIP, value << 1, (mask & SIP_SSIP) << 1 & hideleg_bits(h))
        sip_write(h, value, delegated_locals(h))
        csr_mask_write(h, CSR_HVIP, value, guests_locals(h))
    elif number == CSR_MVIEN:
        mvien_write(h, value)
    elif number == CSR_MVIP:
        separate |= LOCAL_IRQS
        csr_mask_write(h, CSR_MVIP, value, mask & separate)
        csr_mask_write(h, CSR_MIP, value, mvip_aliases(h))
    elif number == CSR_MTOPEI or number == CSR_STOPEI:
        file_claim(h, M_FILE if number == CSR_MTOPEI else S_FILE)
    elif number == CSR_VSTOPEI:
        if guests_file(h) != NO_FILE:
            file_claim(h, guests_file(h))
    elif number == CSR_HSTATUS:
        hstatus_write(h, value, mask)
    else:
        csr_mask_write(h, number, value, mask)
        if number == CSR_HGEIE:
            files_changed(h)
        elif number == CSR_STIMECMP or number == CSR_VSTIMECMP:
            timers_changed(h)
