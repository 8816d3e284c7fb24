# The execute unit: cache blocks (Zicbom, Zicboz), compare-and-swap (Zacas), waiting for a store (Zawrs).  There is no cache that
# a program could see: managing a block is permission checks alone (unprivileged manual, "Cache Management Operations").

cdef enum:
    CACHE_BLOCK = 64


cdef bint cbo_denied(HartState* h, Op* ip, i64 left, u64 gate) noexcept nogil:
    """Each level's envcfg opens the instruction to the one below ("CSR controls for CMO instructions"): True if it trapped.  `gate` is a
    field at the same place in menvcfg, henvcfg and senvcfg, zero where closed."""
    cdef bint open_below_m = h.csr[CSR_MENVCFG] & gate != 0
    cdef bint open_to_user = h.privilege != U_MODE or h.csr[CSR_SENVCFG] & gate
    if h.privilege == M_MODE:
        return False
    if not open_below_m or (not h.virtual and not open_to_user):
        fault_illegal(h, ip, left, False)
        return True
    if h.virtual and not (h.csr[CSR_HENVCFG] & gate and open_to_user):
        fault_illegal(h, ip, left, True)
        return True
    return False


cdef inline int as_store(int cause) noexcept nogil:
    """Whatever access was checked, a cache-block instruction faults as a store does."""
    if cause == CAUSE_LOAD_ACCESS_FAULT: return CAUSE_STORE_ACCESS_FAULT
    if cause == CAUSE_LOAD_PAGE_FAULT: return CAUSE_STORE_PAGE_FAULT
    if cause == CAUSE_LOAD_GUEST_PAGE_FAULT: return CAUSE_STORE_GUEST_PAGE_FAULT
    return cause


cdef int block_address(HartState* h, u64 va, int access, u64* hpa) noexcept nogil:
    """Translate the address of a cache block, which need not be its first byte: 0 and the block, or the cause.  Devices have no blocks."""
    cdef u64 block = va & ~<u64>(CACHE_BLOCK - 1)
    cdef int cause
    if watched(h, h.data_context.mode & CTX_V != 0, block, CACHE_BLOCK, TDATA1_STORE, &block):
        return CAUSE_BREAKPOINT                 # "match as if they are stores", at any address of the block (Sdtrig, "Cache Operations")
    cause = data_address(h, h.data_context, va, 1, access, hpa)
    if cause == 0:
        cause = data_address(h, h.data_context, va & ~<u64>(CACHE_BLOCK - 1), CACHE_BLOCK, access, hpa)
    if cause == 0 and not in_ram(h.mem, hpa[0], CACHE_BLOCK):
        return CAUSE_STORE_ACCESS_FAULT
    return as_store(cause)


cdef u8* block_place(HartState* h, Op* ip, i64 left, u64 gate, int access) noexcept nogil:
    """Where in the host the instruction's cache block lies; NULL with the exception waiting."""
    cdef u64 hpa = 0
    cdef int cause
    if cbo_denied(h, ip, left, gate):
        return NULL
    cause = block_address(h, h.x[ip.rs1], access, &hpa)
    if cause:
        fault(h, ip, left, <u64>cause, h.x[ip.rs1])
        return NULL
    return host(h.mem, hpa)


cdef SLOW manage_block(HartState* h, Op* ip, i64 left, u64 gate) noexcept nogil:
    """CBO.INVAL, CLEAN, FLUSH: allowed where a load is (store permission implies that of loads)."""
    if block_place(h, ip, left, gate, LOAD) != NULL:
        accessed(h, ip, left, False)


cdef void op_cbo_inval(HartState* h, Op* ip, i64 left) noexcept nogil:
    manage_block(h, ip, left, SENVCFG_CBIE)

cdef void op_cbo_clean(HartState* h, Op* ip, i64 left) noexcept nogil:
    manage_block(h, ip, left, SENVCFG_CBCFE)

cdef void op_cbo_flush(HartState* h, Op* ip, i64 left) noexcept nogil:
    manage_block(h, ip, left, SENVCFG_CBCFE)


cdef SLOW zero_block(HartState* h, Op* ip, i64 left) noexcept nogil:
    cdef u8* place = block_place(h, ip, left, SENVCFG_CBZE, STORE)
    if place != NULL:
        about_to_store(h, ip, left, h.mem.base + <u64>(place - h.mem.ram), CACHE_BLOCK, STORES)
        memset(place, 0, CACHE_BLOCK)
        atomic_stored(h, ip, left, h.mem.base + <u64>(place - h.mem.ram), CACHE_BLOCK)

cdef void op_cbo_zero(HartState* h, Op* ip, i64 left) noexcept nogil:
    zero_block(h, ip, left)


# ---------------------------------------------------------------- compare-and-swap ("Zacas")

cdef SLOW compare_and_swap(HartState* h, Op* ip, i64 left, u64 size) noexcept nogil:
    """Write permission is needed whether or not the comparison succeeds; a failed one writes the old value back, as the manual allows."""
    cdef u64 hpa = 0, old = 0
    cdef u64 bits = EVERY_BIT >> (64 - 8 * size)
    cdef u64 expected = h.x[ip.rd] if ip.rd != SINK else 0
    cdef u8* place = atomic_place(h, ip, left, size, STORE, &hpa)
    if place == NULL:
        return
    memcpy(&old, place, size)
    if (old ^ expected) & bits == 0:
        memcpy(place, &h.x[ip.rs2], size)
    h.x[ip.rd] = old if size == 8 else <u64><i64><i32>old
    atomic_stored(h, ip, left, hpa, size)


cdef void op_amocas_w(HartState* h, Op* ip, i64 left) noexcept nogil:
    compare_and_swap(h, ip, left, 4)

cdef void op_amocas_d(HartState* h, Op* ip, i64 left) noexcept nogil:
    compare_and_swap(h, ip, left, 8)


cdef SLOW compare_and_swap_pair(HartState* h, Op* ip, i64 left) noexcept nogil:
    """AMOCAS.Q: pairs of registers, of which x0 with its partner reads as zero, and swallows both halves."""
    cdef u64 hpa = 0
    cdef u64 low, high
    cdef u64* place = <u64*>atomic_place(h, ip, left, 16, STORE, &hpa)
    if place == NULL:
        return
    low = place[0]
    high = place[1]
    if low == (h.x[ip.rd] if ip.rd != SINK else 0) and high == (h.x[ip.rd + 1] if ip.rd != SINK else 0):
        place[0] = h.x[ip.rs2]
        place[1] = h.x[ip.rs2 + 1] if ip.rs2 else 0
    if ip.rd != SINK:
        h.x[ip.rd] = low
        h.x[ip.rd + 1] = high
    atomic_stored(h, ip, left, hpa, 16)

cdef void op_amocas_q(HartState* h, Op* ip, i64 left) noexcept nogil:
    compare_and_swap_pair(h, ip, left)


# ---------------------------------------------------------------- waiting for a store ("Zawrs")

cdef void op_wrs_nto(HartState* h, Op* ip, i64 left) noexcept nogil:
    advance(h, ip, left)                # a stall may end for any reason; this one ends before it begins
