# Keeping caches invisible.  A frame that decoded code or cached translations derive from loses its write tag, so that a store
# to it takes the slow path, which drops exactly what derived from it before the next instruction runs.

TLB_ENTRIES = SECOND_SIZE


cdef inline u64 frame_of(MemState* mem, u64 hpa) noexcept nogil:
    return (hpa - mem.base) >> PAGE_SHIFT


cdef inline bint in_ram(MemState* mem, u64 hpa, u64 size) noexcept nogil:
    return hpa - mem.base < mem.size and hpa - mem.base <= mem.size - size


cdef inline u8* host(MemState* mem, u64 hpa) noexcept nogil:
    return mem.ram + (hpa - mem.base)


# ---------------------------------------------------------------- translation contexts

cdef void context_clear(HartState* h, Context* c) noexcept nogil:
    memset(c.tlb, 0xFF, sizeof(c.tlb))
    c.has_superpage = False
    c.generation = h.generation
    h.epoch += 1
    c.epoch = h.epoch


cdef Context* context_find(HartState* h, u64 atp, u64 gatp, u64 mode) noexcept nogil:
    """The context of an address space: found, or made in place of the least recently used one."""
    cdef Context* c
    cdef Context* oldest = NULL
    cdef int i
    h.use_clock += 1
    for i in range(CONTEXTS):
        c = &h.contexts[i]
        if c.mode == mode and c.atp == atp and c.gatp == gatp and c.used:
            if c.generation != h.generation:
                context_clear(h, c)
            c.used = h.use_clock
            return c
        if c != h.data_context and c != h.fetch_context and (oldest == NULL or c.used < oldest.used):
            oldest = c
    oldest.atp = atp
    oldest.gatp = gatp
    oldest.mode = mode
    oldest.used = h.use_clock
    context_clear(h, oldest)
    return oldest


cdef inline u64 context_root(HartState* h, u64 atp) noexcept nogil:
    """What of satp or hgatp tells two address spaces apart.  A stale hart tells them by mode and ASID (or VMID) alone, as the manual allows."""
    if h.stale:
        return atp & ~<u64>SATP_PPN
    return atp


cdef u64 context_mode(HartState* h, u64 privilege, bint virtual) noexcept nogil:
    cdef u64 mode = privilege
    cdef u64 status = h.csr[CSR_MSTATUS]
    if privilege == M_MODE:
        return mode
    if status & MSTATUS_MXR:
        mode |= CTX_MXR
    if virtual:
        mode |= CTX_V
        if h.csr[CSR_VSSTATUS] & MSTATUS_SUM:
            mode |= CTX_SUM
        if h.csr[CSR_VSSTATUS] & MSTATUS_MXR:
            mode |= CTX_VMXR
    elif status & MSTATUS_SUM:
        mode |= CTX_SUM
    return mode


cdef Context* context_for(HartState* h, u64 privilege, bint virtual) noexcept nogil:
    cdef u64 mode = context_mode(h, privilege, virtual)
    if privilege == M_MODE:
        return context_find(h, 0, 0, mode)
    if virtual:
        return context_find(h, context_root(h, h.csr[CSR_VSATP]), context_root(h, h.csr[CSR_HGATP]), mode)
    return context_find(h, context_root(h, h.csr[CSR_SATP]), 0, mode)


cdef void contexts_update(HartState* h) noexcept nogil:
    """Call after any change of privilege, V, an address-translation CSR or a status bit that matters to translation."""
    cdef u64 status = h.csr[CSR_MSTATUS]
    cdef Context* c = context_for(h, h.privilege, h.virtual)
    h.fetch_context = c
    h.fetch_epoch = c.epoch
    if h.privilege == M_MODE and status & MSTATUS_MPRV:
        c = context_for(h, (status & MSTATUS_MPP) >> MSTATUS_MPP_SHIFT,
                        (status & MSTATUS_MPV) != 0 and (status & MSTATUS_MPP) != MSTATUS_MPP)
    h.data_context = c
    h.tlb = c.tlb
    float_update(h)


cdef void hart_flush(HartState* h) noexcept nogil:
    """Drop every cached translation of a hart, and with it the jump cache; contexts not in use are cleared when next used."""
    h.generation += 1
    context_clear(h, h.fetch_context)
    if h.data_context != h.fetch_context:
        context_clear(h, h.data_context)
    h.fetch_epoch = h.fetch_context.epoch


cdef void stale_fence(HartState* h, bint virtual, bint any_va, u64 va, bint any_asid, u64 asid) noexcept nogil:
    """What SFENCE.VMA must drop, and no more: what a hart that keeps its entries as long as it may would do."""
    cdef Context* c
    cdef TlbEntry* e
    cdef u64 root
    cdef int i
    for i in range(CONTEXTS):
        c = &h.contexts[i]
        if c.used == 0 or ((c.mode & CTX_V) != 0) != virtual or (c.mode & CTX_PRIV) == M_MODE:
            continue
        if not any_asid and ((c.atp & SATP_ASID) >> SATP_ASID_SHIFT) != asid:
            continue
        if virtual and (c.gatp & HGATP_VMID) != (h.csr[CSR_HGATP] & HGATP_VMID):
            continue
        if any_va or c.has_superpage:
            context_clear(h, c)
        else:
            e = &c.tlb[(va >> PAGE_SHIFT) & (TLB_SIZE - 1)]
            if (va & ~<u64>OFFSET_MASK) in (e.rtag, e.wtag, e.xtag):
                memset(e, 0xFF, sizeof(TlbEntry))
            h.epoch += 1                # the jump cache may know code of the page whose entry has long made room
            c.epoch = h.epoch
    h.fetch_epoch = h.fetch_context.epoch


cdef void stale_gstage_fence(HartState* h, bint any_vmid, u64 vmid) noexcept nogil:
    """HFENCE.GVMA: the caches hold whole two-stage translations, so a guest-physical address names none of them; all of the VMID go."""
    cdef Context* c
    cdef int i
    for i in range(CONTEXTS):
        c = &h.contexts[i]
        if c.used and c.mode & CTX_V and (any_vmid or ((c.gatp & HGATP_VMID) >> HGATP_VMID_SHIFT) == vmid):
            context_clear(h, c)
    h.fetch_epoch = h.fetch_context.epoch


# ---------------------------------------------------------------- frames

cdef void drop_write_tags(MemState* mem, u64 frame) noexcept nogil:
    """No hart may go on storing to the frame through its translation cache."""
    cdef u64 first = <u64>mem.ram + (frame << PAGE_SHIFT)
    cdef HartState* h
    cdef Context* c
    cdef TlbEntry* e
    cdef int i, k, j
    for i in range(mem.n_harts):
        h = mem.harts[i]
        for k in range(CONTEXTS):
            c = &h.contexts[k]
            if c.used == 0 or c.generation != h.generation:
                continue
            for j in range(TLB_SIZE):
                e = &c.tlb[j]
                if e.wtag + e.addend == first:
                    e.wtag = EVERY_BIT
    mem.flags[frame] &= ~<u8>FRAME_WCACHED


cdef inline void feed(MemState* mem, u64 frame, u8 what) noexcept nogil:
    """From now on a cache derives from this frame."""
    if mem.flags[frame] & FRAME_WCACHED:
        drop_write_tags(mem, frame)
    mem.flags[frame] |= what


cdef void feed_pte(MemState* mem, u64 hpa) noexcept nogil:
    """A cached translation derives from the page-table entry at hpa."""
    cdef u64 frame = frame_of(mem, hpa)
    cdef u64* used = mem.pte_used[frame]
    cdef u64 index = (hpa & OFFSET_MASK) >> 3
    if not mem.flags[frame] & FRAME_PT:
        if mem.n_pt_frames == mem.pt_capacity:
            mem.pt_capacity *= 2
            mem.pt_frames = <u64*>realloc(mem.pt_frames, mem.pt_capacity * sizeof(u64))
        if used == NULL:
            used = <u64*>calloc(8, sizeof(u64))
            mem.pte_used[frame] = used
        mem.pt_frames[mem.n_pt_frames] = frame
        mem.n_pt_frames += 1
        feed(mem, frame, FRAME_PT)
    used[index >> 6] |= <u64>1 << (index & 63)


cdef void forget_translations(MemState* mem) noexcept nogil:
    """Drop every translation on every hart; no entry then derives from any page table."""
    cdef u64 i
    cdef int k
    for k in range(mem.n_harts):
        hart_flush(mem.harts[k])
    for i in range(mem.n_pt_frames):
        memset(mem.pte_used[mem.pt_frames[i]], 0, 8 * sizeof(u64))
        mem.flags[mem.pt_frames[i]] &= ~<u8>FRAME_PT
    mem.n_pt_frames = 0


cdef void code_stored(MemState* mem, u64 frame, u64 hpa, u64 size) noexcept nogil:
    """Bytes [hpa, hpa + size) of a frame with decoded blocks changed: kill the blocks that hold any of them."""
    cdef Block* b = mem.page_blocks[frame]
    cdef Block** link = &mem.page_blocks[frame]
    while b != NULL:
        if b.hpa < hpa + size and hpa < b.hpa + (b.next_vpc - b.vpc):
            block_kill(mem, b)
            link[0] = b.page_next
        else:
            link = &b.page_next
        b = link[0]
    if mem.page_blocks[frame] == NULL:
        mem.flags[frame] &= ~<u8>FRAME_CODE


cdef void guard_reservations(HartState* h) noexcept nogil:
    """Before a hart runs: the frames in which the others hold reservations lose their write tags, so that its stores are seen."""
    cdef MemState* mem = h.mem
    cdef int i
    for i in range(mem.n_harts):
        if mem.harts[i] != h and mem.harts[i].reservation != EVERY_BIT and in_ram(mem, mem.harts[i].reservation, 1):
            feed(mem, frame_of(mem, mem.harts[i].reservation), FRAME_RESERVED)


cdef void reservations_left(MemState* mem, u64 frame) noexcept nogil:
    """A store reached a frame kept for a reservation: if none is left in it, it may have write tags again."""
    cdef int i
    for i in range(mem.n_harts):
        if mem.harts[i].reservation != EVERY_BIT and frame_of(mem, mem.harts[i].reservation) == frame:
            return
    mem.flags[frame] &= ~<u8>FRAME_RESERVED


cdef bint stored(MemState* mem, u64 hpa, u64 size) noexcept nogil:
    """Account for a store to [hpa, hpa + size), already done, within one frame. True if code or translations were dropped."""
    cdef u64 frame = frame_of(mem, hpa)
    cdef u8 flags = mem.flags[frame]
    cdef u64 first, last, i
    cdef u64* used
    cdef bint dropped = False
    mem.dirty[frame] = EVERY_LOG
    if flags & FRAME_RESERVED:
        reservations_left(mem, frame)
    if flags & FRAME_CODE:
        code_stored(mem, frame, hpa, size)
        dropped = True
    if flags & FRAME_PT:
        used = mem.pte_used[frame]
        first = (hpa & OFFSET_MASK) >> 3
        last = ((hpa + size - 1) & OFFSET_MASK) >> 3
        for i in range(first, last + 1):
            if used[i >> 6] >> (i & 63) & 1:
                forget_translations(mem)
                return True
    return dropped


cdef inline void break_reservation(HartState* h, u64 hpa, u64 end) noexcept nogil:
    """A store by another agent to [hpa, end): the reservation goes if it is on one of these doublewords."""
    if h.reservation != EVERY_BIT and h.reservation & ~<u64>7 < end and hpa <= h.reservation | 7:
        h.reservation = EVERY_BIT


cdef void stored_outside(MemState* mem, u64 hpa, u64 size) noexcept nogil:
    """A store by something that is no hart: over any number of frames; it breaks reservations on the bytes."""
    cdef u64 end = hpa + size
    cdef u64 part
    cdef int i
    for i in range(mem.n_harts):
        break_reservation(mem.harts[i], hpa, end)
    while hpa < end:
        part = PAGE_SIZE - (hpa & OFFSET_MASK)
        if part > end - hpa:
            part = end - hpa
        stored(mem, hpa, part)
        hpa += part
