# Address translation as the execute unit asks for it: a walk, PMP, and the fill of the translation cache.

cdef inline void tlb_place(HartState* h, Context* c, u64 va, u64 hpa, u64 perms, int access) noexcept nogil:
    """Put a translation into the context's cache, with the tags that its rights and its frame's state allow."""
    cdef MemState* mem = h.mem
    cdef TlbEntry* e = &c.tlb[(va >> PAGE_SHIFT) & (TLB_SIZE - 1)]
    cdef u64 page = va & ~<u64>OFFSET_MASK
    cdef u64 frame = frame_of(mem, hpa)
    if h.watching and page_watched(h, page, TDATA1_LOAD | TDATA1_STORE):
        perms &= PTE_X
    e.addend = <u64>host(mem, hpa & ~<u64>OFFSET_MASK) - page
    e.rtag = page if perms & PTE_R and not mem.flags[frame] & FRAME_LOADS_WATCHED else EVERY_BIT
    e.xtag = page if perms & PTE_X else EVERY_BIT
    if perms & PTE_W and not mem.flags[frame] & FRAME_NO_WRITE_TAG and (access == STORE or mem.dirty[frame] == EVERY_LOG):
        e.wtag = page
        mem.flags[frame] |= FRAME_WCACHED
        mem.dirty[frame] = EVERY_LOG
    else:
        e.wtag = EVERY_BIT


cdef void tlb_fill(HartState* h, Context* c, u64 va, u64 hpa, int access) noexcept nogil:
    """Cache the translation that the last walk found, and make the entries it read feed the cache."""
    cdef u64 perms = h.walk_perms
    cdef int i
    if not h.stale:
        for i in range(h.n_walked):
            feed_pte(h.mem, h.walked[i])
    if h.walk_superpage:
        c.has_superpage = True
    if not h.pmp_open:
        perms &= pmp_page_perms(h, hpa, c.mode & CTX_PRIV)
    second_fill(h, c, va, hpa, perms)
    tlb_place(h, c, va, hpa, perms, access)


cdef inline bint refill(HartState* h, u64 va, int access) noexcept nogil:
    """An access missed the data context's cache: whether the second level has what makes it hit when it is done again.  What hit, and came
    here for another reason, would only come again."""
    cdef TlbEntry* e = &h.tlb[(va >> PAGE_SHIFT) & (TLB_SIZE - 1)]
    cdef u64 hpa = 0, perms = 0, walks = h.walks, reads = h.walk_reads
    cdef u8 flags
    if h.watching or (e.wtag if access == STORE else e.rtag) == va & ~<u64>OFFSET_MASK:
        return False
    if not second_find(h, h.data_context, va, access, &hpa, &perms):
        return False
    flags = h.mem.flags[frame_of(h.mem, hpa)]
    if flags & (FRAME_NO_WRITE_TAG if access == STORE else FRAME_LOADS_WATCHED):
        h.walks = walks                             # the slow path looks again
        h.walk_reads = reads
        return False
    h.tlb_misses += 1
    tlb_place(h, h.data_context, va, hpa, perms, access)
    return True


cdef int translate(HartState* h, Context* c, u64 va, u64 size, int access, u64* hpa) noexcept nogil:
    """Translate an access that lies within one page: 0 and its physical address, or the cause of the exception."""
    cdef bint uniform = True
    cdef u64 page = 0, perms = 0
    cdef int cause
    h.tlb_misses += 1
    if second_find(h, c, va, access, &page, &perms):
        hpa[0] = page | (va & OFFSET_MASK)
        tlb_place(h, c, va, page, perms, access)
        return 0
    cause = walk(h, c, va, access, False, hpa, &uniform)
    if h.n_walked:
        h.walks += 1
        h.walk_reads += <u64>h.n_walked + h.reads_saved
        walk_noted(h)
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


cdef int look_at(HartState* h, Context* c, u64 va, int access, u64* hpa) noexcept nogil:
    """Walk and check as an access of one byte would, leaving no trace, not even in a waiting exception."""
    cdef bint uniform = True, guest = h.fault_guest, gva = h.fault_gva
    cdef u64 gpa = h.fault_gpa
    cdef int cause, implicit = h.fault_implicit
    h.looking = True                        # sets no A and no D
    cause = walk(h, c, va, access, False, hpa, &uniform)
    h.looking = False
    if cause == 0 and not pmp_allows(h, hpa[0], 1, access, c.mode & CTX_PRIV, &uniform):
        cause = access_fault(access)
    h.fault_guest, h.fault_implicit, h.fault_gva, h.fault_gpa = guest, implicit, gva, gpa
    return cause
