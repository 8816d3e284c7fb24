# Address translation: Sv39 and Sv39x4 walks (privileged manual, "Sv39" and "Two-Stage Address Translation"), PMP, and the fill
# of the translation cache.  Walks return 0 or the cause of the exception; its other facts are left in h.fault_*.

cdef inline int access_fault(int access) noexcept nogil:
    if access == FETCH:
        return CAUSE_INSTRUCTION_ACCESS_FAULT
    return CAUSE_LOAD_ACCESS_FAULT if access == LOAD else CAUSE_STORE_ACCESS_FAULT


cdef inline int page_fault(int access) noexcept nogil:
    if access == FETCH:
        return CAUSE_INSTRUCTION_PAGE_FAULT
    return CAUSE_LOAD_PAGE_FAULT if access == LOAD else CAUSE_STORE_PAGE_FAULT


cdef int guest_page_fault(HartState* h, int access, u64 gpa, bint implicit) noexcept nogil:
    h.fault_guest = True
    h.fault_gpa = gpa
    h.fault_implicit = implicit
    if access == FETCH:
        return CAUSE_INSTRUCTION_GUEST_PAGE_FAULT
    return CAUSE_LOAD_GUEST_PAGE_FAULT if access == LOAD else CAUSE_STORE_GUEST_PAGE_FAULT


# ---------------------------------------------------------------- physical memory protection

cdef inline u64 pmp_config(HartState* h, int i) noexcept nogil:
    return (h.csr[CSR_PMPCFG0 + 2 * (i >> 3)] >> (8 * (i & 7))) & 0xFF


cdef u64 pmp_range(HartState* h, int i, u64* last) noexcept nogil:
    """First and last byte of entry i's region; an empty one has last < first (privileged manual, "Address Matching")."""
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


cdef bint pmp_allows(HartState* h, u64 hpa, u64 size, int access, u64 privilege, bint* uniform) noexcept nogil:
    """Whether the access passes; `uniform` turns False if the answer need not hold for its whole page, which then stays uncached."""
    cdef u64 first, last = 0, page = hpa & ~<u64>OFFSET_MASK
    cdef u64 config, wanted
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
        config = pmp_config(h, i)
        if privilege == M_MODE and not config & PMP_L:
            return True
        return (config & wanted) != 0
    return privilege == M_MODE


cdef void pmp_update(HartState* h) noexcept nogil:
    cdef u64 last = 0
    cdef u64 config = pmp_config(h, 0)
    cdef int i
    h.pmp_count = 0
    for i in range(PMP_ENTRIES):
        if pmp_config(h, i) & PMP_A:
            h.pmp_count = i + 1
    h.pmp_open = (config & PMP_A) == PMP_A_NAPOT and pmp_range(h, 0, &last) == 0 and last >= <u64>1 << 55 \
        and (config & (PMP_R | PMP_W | PMP_X)) == (PMP_R | PMP_W | PMP_X)


# ---------------------------------------------------------------- walks

cdef bint read_pte(HartState* h, u64 hpa, u64* pte, bint* uniform) noexcept nogil:
    """Load the entry at a physical address; False where that is an access fault."""
    if not in_ram(h.mem, hpa, PTE_SIZE) or not pmp_allows(h, hpa, PTE_SIZE, LOAD, S_MODE, uniform):
        return False
    pte[0] = (<u64*>host(h.mem, hpa))[0]
    h.walked[h.n_walked] = hpa
    h.n_walked += 1
    return True


cdef bint leaf_allows(u64 pte, int access, bint mxr) noexcept nogil:
    if access == FETCH:
        return (pte & PTE_X) != 0
    if access == LOAD:
        return (pte & PTE_R) != 0 or (mxr and pte & PTE_X != 0)
    return (pte & PTE_W) != 0


cdef u64 leaf_perms(u64 pte, bint mxr) noexcept nogil:
    """PTE_R|W|X as an access would find them; W only where the entry is dirty, so that a cached store needs no D update."""
    cdef u64 perms = pte & (PTE_R | PTE_X)
    if mxr and pte & PTE_X:
        perms |= PTE_R
    if pte & PTE_W and pte & PTE_D:
        perms |= PTE_W
    return perms


cdef int gstage(HartState* h, Context* c, u64 gpa, int checked, int access, bint implicit, u64* hpa, bint* uniform) noexcept nogil:
    """GPA to HPA. `checked` is the access the G-stage checks; `access` the original one, which a fault reports.
    An implicit access is one to a VS-stage page-table entry: checked as a load."""
    cdef u64 root = h.csr[CSR_HGATP]
    cdef u64 table, pte = 0, index, size
    cdef int level = 2
    cdef bint mxr = (c.mode & CTX_MXR) != 0
    if (root & HGATP_MODE) >> HGATP_MODE_SHIFT == 0:
        hpa[0] = gpa
        return 0
    if gpa >> 41:
        return guest_page_fault(h, access, gpa, implicit)
    table = (root & HGATP_PPN & ~<u64>3) << PAGE_SHIFT
    while True:
        size = PAGE_SHIFT + 9 * level
        index = (gpa >> size) & (2047 if level == 2 else 511)
        if not read_pte(h, table + index * PTE_SIZE, &pte, uniform):
            return access_fault(access)
        if not pte & PTE_V or (pte & PTE_W and not pte & PTE_R) or pte & (PTE_RESERVED | PTE_PBMT | PTE_N):
            return guest_page_fault(h, access, gpa, implicit)
        if pte & (PTE_R | PTE_X):
            break
        if pte & (PTE_A | PTE_D | PTE_U) or level == 0:
            return guest_page_fault(h, access, gpa, implicit)
        table = ((pte & PTE_PPN) >> PTE_PPN_SHIFT) << PAGE_SHIFT
        level -= 1
    if not pte & PTE_U or not leaf_allows(pte, checked, mxr) or not pte & PTE_A or (checked == STORE and not pte & PTE_D):
        return guest_page_fault(h, access, gpa, implicit)
    table = ((pte & PTE_PPN) >> PTE_PPN_SHIFT) << PAGE_SHIFT
    if table & ((<u64>1 << size) - 1):
        return guest_page_fault(h, access, gpa, implicit)
    if level:
        h.walk_superpage = True
    if not implicit:
        h.walk_perms &= leaf_perms(pte, mxr)
    hpa[0] = table | (gpa & ((<u64>1 << size) - 1))
    return 0


cdef int walk(HartState* h, Context* c, u64 va, int access, bint execute_as_read, u64* hpa, bint* uniform) noexcept nogil:
    """VA to HPA through one stage (V=0) or two (V=1), leaving what may be cached in h.walk_perms.  `execute_as_read` is HLVX's rule:
    the page must be executable instead of readable, in both stages."""
    cdef bint virtual = (c.mode & CTX_V) != 0
    cdef u64 privilege = c.mode & CTX_PRIV
    cdef u64 root, table, pte = 0, address = 0, size
    cdef int level = 2, cause
    cdef int checked = FETCH if execute_as_read else access
    cdef bint mxr = (c.mode & (CTX_MXR | CTX_VMXR)) != 0
    h.n_walked = 0
    h.walk_perms = PTE_R | PTE_W | PTE_X
    h.walk_superpage = False
    h.fault_guest = False
    h.fault_implicit = False
    h.fault_gva = virtual
    if privilege == M_MODE:
        hpa[0] = va
        return 0
    root = h.csr[CSR_VSATP] if virtual else h.csr[CSR_SATP]
    if (root & SATP_MODE) >> SATP_MODE_SHIFT == 0:
        if not virtual:
            hpa[0] = va
            return 0
        return gstage(h, c, va, checked, access, False, hpa, uniform)
    if <u64>(<i64>(va << 25) >> 25) != va:
        return page_fault(access)
    table = (root & SATP_PPN) << PAGE_SHIFT
    while True:
        size = PAGE_SHIFT + 9 * level
        address = table + ((va >> size) & 511) * PTE_SIZE
        if virtual:
            cause = gstage(h, c, address, LOAD, access, True, &address, uniform)
            if cause:
                return cause
        if not read_pte(h, address, &pte, uniform):
            return access_fault(access)
        if not pte & PTE_V or (pte & PTE_W and not pte & PTE_R) or pte & (PTE_RESERVED | PTE_PBMT | PTE_N):
            return page_fault(access)
        if pte & (PTE_R | PTE_X):
            break
        if pte & (PTE_A | PTE_D | PTE_U) or level == 0:
            return page_fault(access)
        table = ((pte & PTE_PPN) >> PTE_PPN_SHIFT) << PAGE_SHIFT
        level -= 1
    if pte & PTE_U:
        if privilege == S_MODE:
            if access == FETCH or not c.mode & CTX_SUM:
                return page_fault(access)
            h.walk_perms &= ~<u64>PTE_X
    elif privilege == U_MODE:
        return page_fault(access)
    if not leaf_allows(pte, checked, mxr) or not pte & PTE_A or (access == STORE and not pte & PTE_D):
        return page_fault(access)
    table = ((pte & PTE_PPN) >> PTE_PPN_SHIFT) << PAGE_SHIFT
    if table & ((<u64>1 << size) - 1):
        return page_fault(access)
    if level:
        h.walk_superpage = True
    h.walk_perms &= leaf_perms(pte, mxr)
    address = table | (va & ((<u64>1 << size) - 1))
    if virtual:
        return gstage(h, c, address, checked, access, False, hpa, uniform)
    hpa[0] = address
    return 0


cdef void tlb_fill(HartState* h, Context* c, u64 va, u64 hpa, int access) noexcept nogil:
    """Cache the translation that the last walk found, and make the entries it read feed the cache."""
    cdef MemState* mem = h.mem
    cdef TlbEntry* e = &c.tlb[(va >> PAGE_SHIFT) & (TLB_SIZE - 1)]
    cdef u64 page = va & ~<u64>OFFSET_MASK
    cdef u64 frame = frame_of(mem, hpa)
    cdef u64 perms = h.walk_perms
    cdef int i
    if not h.stale:
        for i in range(h.n_walked):
            feed_pte(mem, h.walked[i])
    if h.walk_superpage:
        c.has_superpage = True
    if not h.pmp_open:
        perms &= pmp_page_perms(h, hpa, c.mode & CTX_PRIV)
    e.addend = <u64>host(mem, hpa & ~<u64>OFFSET_MASK) - page
    e.rtag = page if perms & PTE_R else EVERY_BIT
    e.xtag = page if perms & PTE_X else EVERY_BIT
    if perms & PTE_W and not mem.flags[frame] & FRAME_FEEDS and (access == STORE or mem.dirty[frame]):
        e.wtag = page
        mem.flags[frame] |= FRAME_WCACHED
        mem.dirty[frame] = 1
    else:
        e.wtag = EVERY_BIT


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


cdef int translate(HartState* h, Context* c, u64 va, u64 size, int access, u64* hpa) noexcept nogil:
    """Translate an access that lies within one page: 0 and its physical address, or the cause of the exception."""
    cdef bint uniform = True
    cdef int cause
    h.tlb_misses += 1
    cause = walk(h, c, va, access, False, hpa, &uniform)
    if h.n_walked:
        h.walks += 1
        h.walk_reads += <u64>h.n_walked
    if cause:
        return cause
    if not pmp_allows(h, hpa[0], size, access, c.mode & CTX_PRIV, &uniform):
        return access_fault(access)
    if uniform and in_ram(h.mem, hpa[0], size):
        tlb_fill(h, c, va, hpa[0], access)
    return 0


cdef inline int data_address(HartState* h, Context* c, u64 va, u64 size, int access, u64* hpa) noexcept nogil:
    """As translate, but looks into the translation cache first (slow paths come here for misaligned accesses and tagless frames)."""
    cdef TlbEntry* e = &c.tlb[(va >> PAGE_SHIFT) & (TLB_SIZE - 1)]
    cdef u64 page = va & ~<u64>OFFSET_MASK
    if (access == LOAD and e.rtag == page) or (access == STORE and e.wtag == page):
        hpa[0] = va + e.addend - <u64>h.mem.ram + h.mem.base
        return 0
    return translate(h, c, va, size, access, hpa)
