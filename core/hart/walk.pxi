# Page-table walks, driven by core.isa.paging's rows: Sv39, Sv48, Sv57 and their x4 (supervisor chapter, "Virtual Address Translation
# Process"; hypervisor chapter, "Two-Stage Address Translation"), with Svnapot, Svpbmt, Svade and Svadu.  Walks return 0 or the cause of
# the exception; its other facts are left in h.fault_*.

cdef struct Paging:             # a value of MODE in one stage
    int levels                  # 0: there is no such mode
    int address_bits
    u64 root_mask               # bits that index the root table, in place at bit 0

cdef Paging PAGING[2][16]       # by stage (1: G-stage) and MODE

cdef enum:                      # why the G-stage is asked for a guest-physical address
    EXPLICIT = 0
    PTE_READ = 1                # to read a VS-stage entry: checked as a load
    PTE_WRITE = 2               # to set A or D in one: checked as a store


cdef inline int access_fault(int access) noexcept nogil:
    if access == FETCH:
        return CAUSE_INSTRUCTION_ACCESS_FAULT
    return CAUSE_LOAD_ACCESS_FAULT if access == LOAD else CAUSE_STORE_ACCESS_FAULT


cdef inline int page_fault(int access) noexcept nogil:
    if access == FETCH:
        return CAUSE_INSTRUCTION_PAGE_FAULT
    return CAUSE_LOAD_PAGE_FAULT if access == LOAD else CAUSE_STORE_PAGE_FAULT


cdef int guest_page_fault(HartState* h, int access, u64 gpa, int implicit) noexcept nogil:
    h.fault_guest = True
    h.fault_gpa = gpa
    h.fault_implicit = implicit
    if access == FETCH:
        return CAUSE_INSTRUCTION_GUEST_PAGE_FAULT
    return CAUSE_LOAD_GUEST_PAGE_FAULT if access == LOAD else CAUSE_STORE_GUEST_PAGE_FAULT


# ---------------------------------------------------------------- entries

cdef bint read_pte(HartState* h, u64 hpa, u64* pte, bint* uniform) noexcept nogil:
    """Load the entry at a physical address; False where that is an access fault."""
    if not in_ram(h.mem, hpa, PTE_SIZE) or not pmp_allows(h, hpa, PTE_SIZE, LOAD, S_MODE, uniform):
        return False
    pte[0] = (<u64*>host(h.mem, hpa))[0]
    if h.n_walked < WALK_LIMIT:
        h.walked[h.n_walked] = hpa
        h.n_walked += 1
    else:
        uniform[0] = False                  # what is not on record must not be cached
    return True


cdef inline u64 reserved_bits(HartState* h, u64 envcfg) noexcept nogil:
    """The bits that must be zero in every entry, under the menvcfg or henvcfg that governs its stage."""
    cdef u64 reserved = PTE_RESERVED
    if not h.enabled[EXT_SVNAPOT]:
        reserved |= PTE_N
    if not envcfg & MENVCFG_PBMTE:
        reserved |= PTE_PBMT
    return reserved


cdef inline bint is_invalid(u64 pte, u64 reserved) noexcept nogil:
    return not pte & PTE_V or (pte & PTE_W and not pte & PTE_R) or pte & reserved


cdef inline bint is_pointer(u64 pte) noexcept nogil:
    return not pte & (PTE_R | PTE_X)


cdef inline bint is_bad_pointer(u64 pte) noexcept nogil:
    return (pte & (PTE_A | PTE_D | PTE_U | PTE_PBMT | PTE_N)) != 0


cdef inline u64 pte_page(u64 pte) noexcept nogil:
    return ((pte & PTE_PPN) >> PTE_PPN_SHIFT) << PAGE_SHIFT


cdef bint is_bad_leaf(u64 pte, int level) noexcept nogil:
    """A misaligned superpage, a reserved memory type, or a reserved NAPOT size ("Svpbmt", "Svnapot")."""
    if pte_page(pte) & ((<u64>1 << (PAGE_SHIFT + 9 * level)) - 1):
        return True
    if pte & PTE_PBMT == PTE_PBMT:                   # 3 is reserved
        return True
    return pte & PTE_N != 0 and (level != 0 or pte_page(pte) >> PAGE_SHIFT & NAPOT_PPN != NAPOT_CODE)


cdef inline u64 leaf_address(u64 pte, int level, u64 address) noexcept nogil:
    """Where a good leaf leads: of a NAPOT one, the address itself gives the low bits of the page number."""
    cdef int size = NAPOT_SHIFT if pte & PTE_N else PAGE_SHIFT + 9 * level
    cdef u64 inside = (<u64>1 << size) - 1
    return (pte_page(pte) & ~inside) | (address & inside)


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


cdef inline u64 missing_bits(u64 pte, int access) noexcept nogil:
    """A, and for a store D, where the leaf has yet to get them."""
    return (PTE_A | PTE_D if access == STORE else PTE_A) & ~pte


cdef bint set_bits(HartState* h, u64 hpa, u64 pte, bint* uniform) noexcept nogil:
    """Svadu: store an entry that was just read, with its new bits; False where that is an access fault.  It is a store like any other,
    but nothing cached can have come from the entry without these bits, so no translation needs dropping."""
    cdef u64 frame = frame_of(h.mem, hpa)
    if not pmp_allows(h, hpa, PTE_SIZE, STORE, S_MODE, uniform):
        return False
    if h.looking:
        return True
    watch(h, hpa, PTE_SIZE, STORES)
    (<u64*>host(h.mem, hpa))[0] = pte
    h.mem.dirty[frame] = EVERY_LOG
    others_stored(h, hpa, PTE_SIZE)
    if h.mem.flags[frame] & FRAME_RESERVED:
        reservations_left(h.mem, frame)
    if h.mem.flags[frame] & FRAME_CODE:
        code_stored(h.mem, frame, hpa, PTE_SIZE)
    return True


# ---------------------------------------------------------------- the stages

cdef int gstage(HartState* h, Context* c, u64 gpa, int checked, int access, int why, u64* hpa, bint* uniform) noexcept nogil:
    """GPA to HPA. `checked` is the access the G-stage checks; `access` the original one, which a fault reports."""
    cdef u64 root = h.csr[CSR_HGATP], mode = (root & HGATP_MODE) >> HGATP_MODE_SHIFT
    cdef Paging* form = &PAGING[1][mode]
    cdef u64 envcfg = h.csr[CSR_MENVCFG], reserved = reserved_bits(h, envcfg)
    cdef u64 table, place, pte = 0, index_mask = form.root_mask, missing
    cdef int level = form.levels - 1
    cdef bint mxr = why == EXPLICIT and (c.mode & CTX_MXR) != 0     # it is about explicit loads
    cdef KnownTable* known
    if mode == MODE_BARE:
        hpa[0] = gpa
        return 0
    if gpa >> form.address_bits:
        return guest_page_fault(h, access, gpa, why)
    table = (root & HGATP_PPN & ~<u64>3) << PAGE_SHIFT
    known = table_known(h, c, gpa, 1)
    if known != NULL:
        table = known.hpa
        level = 0
        index_mask = 511
        h.reads_saved += known.reads
    while True:
        place = table + (gpa >> (PAGE_SHIFT + 9 * level) & index_mask) * PTE_SIZE
        if not read_pte(h, place, &pte, uniform):
            return access_fault(access)
        if is_invalid(pte, reserved):
            return guest_page_fault(h, access, gpa, why)
        if not is_pointer(pte):
            break
        if is_bad_pointer(pte) or level == 0:
            return guest_page_fault(h, access, gpa, why)
        table = pte_page(pte)
        level -= 1
        index_mask = 511
    if not pte & PTE_U or not leaf_allows(pte, checked, mxr) or is_bad_leaf(pte, level):
        return guest_page_fault(h, access, gpa, why)
    missing = missing_bits(pte, checked)
    if missing:
        if not envcfg & MENVCFG_ADUE:
            return guest_page_fault(h, access, gpa, why)
        pte |= missing
        if not set_bits(h, place, pte, uniform):
            return access_fault(access)
    if level:
        h.walk_superpage = True
    elif known == NULL:
        table_passed(h, c, gpa, 1, place, place, <u64>form.levels - 1)
    if why == EXPLICIT:
        h.walk_perms &= leaf_perms(pte, mxr)
    hpa[0] = leaf_address(pte, level, gpa)
    return 0


cdef int walk(HartState* h, Context* c, u64 va, int access, bint execute_as_read, u64* hpa, bint* uniform) noexcept nogil:
    """VA to HPA through one stage (V=0) or two (V=1), leaving what may be cached in h.walk_perms.  `execute_as_read` is HLVX's rule:
    the page must be executable instead of readable, in both stages."""
    cdef bint virtual = (c.mode & CTX_V) != 0
    cdef u64 root = h.csr[CSR_VSATP] if virtual else h.csr[CSR_SATP]
    cdef u64 mode = (root & SATP_MODE) >> SATP_MODE_SHIFT
    cdef int checked = FETCH if execute_as_read else access
    h.n_walked = 0
    h.n_passed = 0
    h.reads_saved = 0
    h.walk_perms = PTE_R | PTE_W | PTE_X
    h.walk_superpage = False
    h.fault_guest = False
    h.fault_implicit = EXPLICIT
    h.fault_gva = virtual
    if (c.mode & CTX_PRIV) == M_MODE or (mode == MODE_BARE and not virtual):
        hpa[0] = va
        return 0
    if mode == MODE_BARE:
        return gstage(h, c, va, checked, access, EXPLICIT, hpa, uniform)
    return walk_tables(h, c, va, access, checked, hpa, uniform)


cdef int walk_tables(HartState* h, Context* c, u64 va, int access, int checked, u64* hpa, bint* uniform) noexcept nogil:
    """The first stage of a walk, where satp or vsatp selects one, and the second for what it finds."""
    cdef bint virtual = (c.mode & CTX_V) != 0
    cdef u64 root = h.csr[CSR_VSATP] if virtual else h.csr[CSR_SATP]
    cdef Paging* form = &PAGING[0][(root & SATP_MODE) >> SATP_MODE_SHIFT]
    cdef u64 envcfg = h.csr[CSR_HENVCFG] if virtual else h.csr[CSR_MENVCFG], reserved = reserved_bits(h, envcfg)
    cdef u64 table = (root & SATP_PPN) << PAGE_SHIFT, gpa = 0, place = 0, pte = 0, missing
    cdef int level = form.levels - 1, unused = 64 - form.address_bits, cause
    cdef bint mxr = (c.mode & (CTX_MXR | CTX_VMXR)) != 0
    cdef KnownTable* known
    if <u64>(<i64>(va << unused) >> unused) != va:
        return page_fault(access)
    known = table_known(h, c, va, 0)
    if known != NULL:
        table = known.gpa
        level = 0
        h.reads_saved += known.reads
    while True:
        place = gpa = table + (va >> (PAGE_SHIFT + 9 * level) & 511) * PTE_SIZE
        if known != NULL:
            place = known.hpa | (gpa & OFFSET_MASK)
        elif virtual:
            cause = gstage(h, c, gpa, LOAD, access, PTE_READ, &place, uniform)
            if cause:
                return cause
        if not read_pte(h, place, &pte, uniform):
            return access_fault(access)
        if is_invalid(pte, reserved):
            return page_fault(access)
        if not is_pointer(pte):
            break
        if is_bad_pointer(pte) or level == 0:
            return page_fault(access)
        table = pte_page(pte)
        level -= 1
    if level == 0 and known == NULL:
        table_passed(h, c, va, 0, place, gpa, <u64>h.n_walked + h.reads_saved - 1)
    if pte & PTE_U:
        if (c.mode & CTX_PRIV) == S_MODE:
            if access == FETCH or not c.mode & CTX_SUM:
                return page_fault(access)
            h.walk_perms &= ~<u64>PTE_X
    elif (c.mode & CTX_PRIV) == U_MODE:
        return page_fault(access)
    if not leaf_allows(pte, checked, mxr) or is_bad_leaf(pte, level):
        return page_fault(access)
    missing = missing_bits(pte, access)
    if missing:
        if not envcfg & MENVCFG_ADUE:
            return page_fault(access)
        if virtual:
            cause = gstage(h, c, gpa, STORE, access, PTE_WRITE, &place, uniform)
            if cause:
                return cause
            if (<u64*>host(h.mem, place))[0] != pte:
                # The G-stage's own update hit this very entry: "if the comparison fails, return to step 2".
                return walk(h, c, va, access, checked != access, hpa, uniform)
        pte |= missing
        if not set_bits(h, place, pte, uniform):
            return access_fault(access)
    if level:
        h.walk_superpage = True
    h.walk_perms &= leaf_perms(pte, mxr)
    gpa = leaf_address(pte, level, va)
    if virtual:
        return gstage(h, c, gpa, checked, access, EXPLICIT, hpa, uniform)
    hpa[0] = gpa
    return 0
