# Physical memory protection (machine chapter, "Physical Memory Protection") and its enhancements (Smepmp): 64 entries, every
# matching mode, granules of four bytes.

cdef enum:                      # a byte of pmpcfg
    PMP_R = 1
    PMP_W = 2
    PMP_X = 4
    PMP_A = 0x18
    PMP_A_TOR = 0x08
    PMP_A_NA4 = 0x10
    PMP_A_NAPOT = 0x18
    PMP_L = 0x80


cdef inline u64 pmp_config(HartState* h, int i) noexcept nogil:
    return (h.csr[CSR_PMPCFG0 + 2 * (i >> 3)] >> (8 * (i & 7))) & 0xFF


cdef u64 pmp_range(HartState* h, int i, u64* last) noexcept nogil:
    """First and last byte of entry i's region; an empty one has last < first ("Address Matching")."""
    cdef u64 mode = pmp_config(h, i) & PMP_A
    cdef u64 address = h.csr[CSR_PMPADDR0 + i]
    cdef u64 first, ones
    if mode == PMP_A_TOR:
        first = 0 if i == 0 else h.csr[CSR_PMPADDR0 + i - 1] << 2
        last[0] = (address << 2) - 1
        if (address << 2) <= first:
            last[0] = 0
            return 1
        return first
    if mode == PMP_A_NA4:
        last[0] = (address << 2) + 3
        return address << 2
    if mode == PMP_A_NAPOT:
        ones = address ^ (address + 1)      # trailing ones and the zero above them
        first = (address & ~ones) << 2
        last[0] = first + ((ones << 2) | 3)
        return first
    last[0] = 0
    return 1


cdef u64 lockdown_rights(u64 config, bint machine) noexcept nogil:
    """PMP_R|W|X that an entry grants with mseccfg.MML=1 (Smepmp's truth table)."""
    cdef u64 rights = config & (PMP_R | PMP_W | PMP_X)
    cdef bint locked = (config & PMP_L) != 0
    if rights & (PMP_R | PMP_W) == PMP_W:               # a region that both share: data, or code if locked
        if locked:
            return PMP_X | (PMP_R if machine and rights & PMP_X else 0)
        return PMP_R | PMP_W if machine or rights & PMP_X else PMP_R
    if locked and rights == (PMP_R | PMP_W | PMP_X):
        return PMP_R
    return rights if locked == machine else 0


cdef bint pmp_grants(HartState* h, u64 config, u64 wanted, u64 privilege) noexcept nogil:
    """Whether the entry that matches all of an access lets it pass."""
    if h.csr[CSR_MSECCFG] & MSECCFG_MML:
        return (lockdown_rights(config, privilege == M_MODE) & wanted) != 0
    if privilege == M_MODE and not config & PMP_L:
        return True
    return (config & wanted) != 0


cdef bint pmp_unmatched(HartState* h, u64 wanted, u64 privilege) noexcept nogil:
    """Whether an access that no entry matches passes: only M-mode's, unless Smepmp denies it."""
    if privilege != M_MODE or h.csr[CSR_MSECCFG] & MSECCFG_MMWP:
        return False
    return not (wanted == PMP_X and h.csr[CSR_MSECCFG] & MSECCFG_MML)


cdef bint pmp_allows(HartState* h, u64 hpa, u64 size, int access, u64 privilege, bint* uniform) noexcept nogil:
    """Whether the access passes; `uniform` turns False if the answer need not hold for its whole page, which then stays uncached."""
    cdef u64 first, last = 0, page = hpa & ~<u64>OFFSET_MASK
    cdef u64 wanted
    cdef int i
    if h.pmp_open:
        return True
    wanted = PMP_X if access == FETCH else (PMP_R if access == LOAD else PMP_W)
    for i in range(h.pmp_count):
        first = pmp_range(h, i, &last)
        if last < first:
            continue
        if not (first <= page and page + OFFSET_MASK <= last) and first <= page + OFFSET_MASK and page <= last:
            uniform[0] = False
        if last < hpa or first > hpa + size - 1:
            continue
        if not (first <= hpa and hpa + size - 1 <= last):
            return False                    # "the matching PMP entry must match all bytes of an access"
        return pmp_grants(h, pmp_config(h, i), wanted, privilege)
    return pmp_unmatched(h, wanted, privilege)


cdef u64 pmp_page_perms(HartState* h, u64 hpa, u64 privilege) noexcept nogil:
    """PTE_R|W|X that PMP grants to a whole page known to be uniform."""
    cdef bint uniform = True
    cdef u64 page = hpa & ~<u64>OFFSET_MASK, perms = 0
    if pmp_allows(h, page, PAGE_SIZE, LOAD, privilege, &uniform):
        perms |= PTE_R
    if pmp_allows(h, page, PAGE_SIZE, STORE, privilege, &uniform):
        perms |= PTE_W
    if pmp_allows(h, page, PAGE_SIZE, FETCH, privilege, &uniform):
        perms |= PTE_X
    return perms


cdef void pmp_update(HartState* h) noexcept nogil:
    """Note what the checks ask first: how many entries count, and whether entry 0 alone opens all 56 bits to everyone."""
    cdef u64 last = 0
    cdef u64 config = pmp_config(h, 0)
    cdef int i
    h.pmp_count = 0
    for i in range(PMP_ENTRIES):
        if pmp_config(h, i) & PMP_A:
            h.pmp_count = i + 1
    h.pmp_open = (config & PMP_A) == PMP_A_NAPOT and pmp_range(h, 0, &last) == 0 and last >= (<u64>1 << 56) - 1 \
        and (config & (PMP_R | PMP_W | PMP_X)) == (PMP_R | PMP_W | PMP_X) and not h.csr[CSR_MSECCFG] & MSECCFG_MML


# ---------------------------------------------------------------- writing the CSRs

cdef inline bint pmp_locked(HartState* h, int i) noexcept nogil:
    return pmp_config(h, i) & PMP_L != 0 and not h.csr[CSR_MSECCFG] & MSECCFG_RLB


cdef u64 pmpcfg_legal(HartState* h, int i, u64 config) noexcept nogil:
    """What entry i's byte becomes when `config` is written to it."""
    cdef u64 status = h.csr[CSR_MSECCFG]
    cdef u64 rights = config & (PMP_R | PMP_W | PMP_X)
    if pmp_locked(h, i):
        return pmp_config(h, i)
    if status & MSECCFG_MML:
        # "Adding a rule with executable privileges that either is M-mode-only or a locked Shared-Region is not possible."
        if not status & MSECCFG_RLB and config & PMP_L and lockdown_rights(config, True) & PMP_X:
            return pmp_config(h, i)
    elif rights & (PMP_R | PMP_W) == PMP_W:
        return config & ~<u64>PMP_W                     # R=0 W=1 is reserved
    return config


cdef void pmp_write(HartState* h, u32 number, u64 value) noexcept nogil:
    """Locked entries stay, and a locked TOR entry locks the address below it ("Locking and Privilege Mode")."""
    cdef int i, first
    cdef u64 kept = 0
    if number < CSR_PMPADDR0:
        first = 8 * ((<int>number - CSR_PMPCFG0) >> 1)
        for i in range(8):
            kept |= pmpcfg_legal(h, first + i, value >> (8 * i) & h.csr_mask[number] & 0xFF) << (8 * i)
        h.csr[number] = kept
    else:
        i = <int>number - CSR_PMPADDR0
        if pmp_locked(h, i):
            return
        if i + 1 < PMP_ENTRIES and pmp_locked(h, i + 1) and pmp_config(h, i + 1) & PMP_A == PMP_A_TOR:
            return
        csr_mask_write(h, number, value, h.csr_mask[number])
    pmp_update(h)
    forget_translations(h.mem)


cdef void mseccfg_write(HartState* h, u64 value) noexcept nogil:
    """MML and MMWP stay set once set; RLB stays clear while it is clear and any entry is locked ("mseccfg")."""
    cdef u64 old = h.csr[CSR_MSECCFG]
    cdef int i
    value |= old & (MSECCFG_MML | MSECCFG_MMWP)
    if not old & MSECCFG_RLB:
        for i in range(PMP_ENTRIES):
            if pmp_config(h, i) & PMP_L:
                value &= ~MSECCFG_RLB
    csr_mask_write(h, CSR_MSECCFG, value, h.csr_mask[CSR_MSECCFG])
    pmp_update(h)
    forget_translations(h.mem)
