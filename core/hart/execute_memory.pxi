# The execute unit, memory part: loads, stores, LR/SC and AMOs.  A hit in the translation cache touches RAM at once; everything
# else (misses, misaligned addresses, frames that feed a cache, devices, faults) takes the slow path.

cdef enum:                      # kinds of load: log2 of the size, and whether to sign-extend
    SIGNED = 8
    FLOATING = 16               # to a floating-point register: NaN-boxed


cdef inline u64 extended(u64 value, int kind) noexcept nogil:
    if kind == (0 | SIGNED): return <u64><i64><i8>value
    if kind == (1 | SIGNED): return <u64><i64><i16>value
    if kind == (2 | SIGNED): return <u64><i64><i32>value
    if kind == (1 | FLOATING): return value | EVERY_BIT << 16
    if kind == (2 | FLOATING): return value | EVERY_BIT << 32
    return value


# ---------------------------------------------------------------- slow paths

cdef SLOW device_access(HartState* h, Op* ip, i64 left, u64 va, u64 hpa, int kind, bint store, u64 value) noexcept nogil:
    """An aligned access outside RAM: hand it to whoever owns the bus, with the instruction not yet retired."""
    stop_at(h, ip, left)
    h.fault_insn = op_bits(h, ip)
    h.event = EVENT_MMIO
    h.mmio_address = hpa
    h.mmio_size = <u64>1 << (kind & 7)
    h.mmio_signed = (kind & SIGNED) != 0
    h.mmio_store = store
    h.mmio_value = value & (EVERY_BIT >> (64 - 8 * h.mmio_size))
    h.mmio_va = va
    h.mmio_gva = h.fault_gva
    h.mmio_rd = ip.rd
    h.mmio_length = block_of(ip).side[ip.idx + 1].offset - block_of(ip).side[ip.idx].offset


cdef int reach(HartState* h, Context* c, u64 va, u64 size, int access, u64* hpa, u64* second, u64* first_size, u64* tval) noexcept nogil:
    """Translate [va, va + size), which may cross a page: 0, or the cause with the faulting address in tval.  A misaligned access
    outside RAM is an access fault."""
    cdef u64 room = PAGE_SIZE - (va & OFFSET_MASK)
    cdef int cause
    tval[0] = va
    if watched(h, c.mode & CTX_V != 0, va, size, TDATA1_STORE if access == STORE else TDATA1_LOAD, tval):
        return CAUSE_BREAKPOINT
    first_size[0] = size if size <= room else room
    cause = data_address(h, c, va, first_size[0], access, hpa)
    if cause:
        return cause
    if va & (size - 1) and not in_ram(h.mem, hpa[0], first_size[0]):
        return access_fault(access)
    if size > room:
        tval[0] = va + room
        cause = data_address(h, c, va + room, size - room, access, second)
        if cause:
            return cause
        if not in_ram(h.mem, second[0], size - room):
            return access_fault(access)
    return 0


cdef SLOW load_far(HartState* h, Op* ip, i64 left, u64 va, int kind, Context* c) noexcept nogil:
    cdef u64 size = <u64>1 << (kind & 7)
    cdef u64 hpa = 0, second = 0, first = 0, tval = 0, value = 0
    cdef int cause = reach(h, c, va, size, LOAD, &hpa, &second, &first, &tval)
    if cause:
        fault(h, ip, left, <u64>cause, tval)
        return
    if not in_ram(h.mem, hpa, first):
        device_access(h, ip, left, va, hpa, kind, False, 0)
        return
    watch(h, hpa, first, LOADS)
    memcpy(&value, host(h.mem, hpa), first)
    if first < size:
        watch(h, second, size - first, LOADS)
        memcpy(<u8*>&value + first, host(h.mem, second), size - first)
    h.x[ip.rd] = extended(value, kind)
    if kind & FLOATING:
        float_dirty(h)
    accessed(h, ip, left, False)


cdef SLOW store_far(HartState* h, Op* ip, i64 left, u64 va, int kind, Context* c) noexcept nogil:
    cdef u64 size = <u64>1 << (kind & 7)
    cdef u64 hpa = 0, second = 0, first = 0, tval = 0, value = h.x[ip.rs2]
    cdef int cause = reach(h, c, va, size, STORE, &hpa, &second, &first, &tval)
    cdef bint dropped
    if cause:
        fault(h, ip, left, <u64>cause, tval)
        return
    if not in_ram(h.mem, hpa, first):
        device_access(h, ip, left, va, hpa, kind, True, value)
        return
    about_to_store(h, ip, left, hpa, first, STORES)
    memcpy(host(h.mem, hpa), &value, first)
    others_stored(h, hpa, first)
    dropped = stored(h.mem, hpa, first)
    if first < size:
        about_to_store(h, ip, left, second, size - first, STORES)
        memcpy(host(h.mem, second), <u8*>&value + first, size - first)
        others_stored(h, second, size - first)
        dropped |= stored(h.mem, second, size - first)
    accessed(h, ip, left, dropped)          # what comes next may have been dropped


cdef SLOW load_slow(HartState* h, Op* ip, i64 left, u64 va, int kind) noexcept nogil:
    """The load of `ip` missed the translation cache: if the second level can fill it, it is done again and hits."""
    if va & ((<u64>1 << (kind & 7)) - 1) == 0 and refill(h, va, LOAD):
        ip.run(h, ip, left)
    else:
        load_far(h, ip, left, va, kind, h.data_context)


cdef SLOW store_slow(HartState* h, Op* ip, i64 left, u64 va, int kind) noexcept nogil:
    if va & ((<u64>1 << (kind & 7)) - 1) == 0 and refill(h, va, STORE):
        ip.run(h, ip, left)
    else:
        store_far(h, ip, left, va, kind, h.data_context)


cdef inline void others_stored(HartState* h, u64 hpa, u64 size) noexcept nogil:
    """A store breaks the other harts' reservations on its bytes.  (Their frames have no write tags, see guard_reservations.)"""
    cdef int i
    if h.mem.n_harts == 1:
        return
    for i in range(h.mem.n_harts):
        if h.mem.harts[i] != h:
            break_reservation(h.mem.harts[i], hpa, hpa + size)


# ---------------------------------------------------------------- loads and stores

cdef void op_lb(HartState* h, Op* ip, i64 left) noexcept nogil:
    cdef u64 va = h.x[ip.rs1] + <i64>ip.imm
    cdef TlbEntry* e = &h.tlb[(va >> PAGE_SHIFT) & (TLB_SIZE - 1)]
    if likely(va & ~<u64>OFFSET_MASK == e.rtag):
        h.x[ip.rd] = <u64><i64>(<i8*>(va + e.addend))[0]
        advance(h, ip, left)
    else:
        load_slow(h, ip, left, va, 0 | SIGNED)

cdef void op_lh(HartState* h, Op* ip, i64 left) noexcept nogil:
    cdef u64 va = h.x[ip.rs1] + <i64>ip.imm
    cdef TlbEntry* e = &h.tlb[(va >> PAGE_SHIFT) & (TLB_SIZE - 1)]
    if likely(va & (~<u64>OFFSET_MASK | 1) == e.rtag):
        h.x[ip.rd] = <u64><i64>(<i16*>(va + e.addend))[0]
        advance(h, ip, left)
    else:
        load_slow(h, ip, left, va, 1 | SIGNED)

cdef void op_lw(HartState* h, Op* ip, i64 left) noexcept nogil:
    cdef u64 va = h.x[ip.rs1] + <i64>ip.imm
    cdef TlbEntry* e = &h.tlb[(va >> PAGE_SHIFT) & (TLB_SIZE - 1)]
    if likely(va & (~<u64>OFFSET_MASK | 3) == e.rtag):
        h.x[ip.rd] = <u64><i64>(<i32*>(va + e.addend))[0]
        advance(h, ip, left)
    else:
        load_slow(h, ip, left, va, 2 | SIGNED)

cdef void op_ld(HartState* h, Op* ip, i64 left) noexcept nogil:
    cdef u64 va = h.x[ip.rs1] + <i64>ip.imm
    cdef TlbEntry* e = &h.tlb[(va >> PAGE_SHIFT) & (TLB_SIZE - 1)]
    if likely(va & (~<u64>OFFSET_MASK | 7) == e.rtag):
        h.x[ip.rd] = (<u64*>(va + e.addend))[0]
        advance(h, ip, left)
    else:
        load_slow(h, ip, left, va, 3)

cdef void op_lbu(HartState* h, Op* ip, i64 left) noexcept nogil:
    cdef u64 va = h.x[ip.rs1] + <i64>ip.imm
    cdef TlbEntry* e = &h.tlb[(va >> PAGE_SHIFT) & (TLB_SIZE - 1)]
    if likely(va & ~<u64>OFFSET_MASK == e.rtag):
        h.x[ip.rd] = (<u8*>(va + e.addend))[0]
        advance(h, ip, left)
    else:
        load_slow(h, ip, left, va, 0)

cdef void op_lhu(HartState* h, Op* ip, i64 left) noexcept nogil:
    cdef u64 va = h.x[ip.rs1] + <i64>ip.imm
    cdef TlbEntry* e = &h.tlb[(va >> PAGE_SHIFT) & (TLB_SIZE - 1)]
    if likely(va & (~<u64>OFFSET_MASK | 1) == e.rtag):
        h.x[ip.rd] = (<u16*>(va + e.addend))[0]
        advance(h, ip, left)
    else:
        load_slow(h, ip, left, va, 1)

cdef void op_lwu(HartState* h, Op* ip, i64 left) noexcept nogil:
    cdef u64 va = h.x[ip.rs1] + <i64>ip.imm
    cdef TlbEntry* e = &h.tlb[(va >> PAGE_SHIFT) & (TLB_SIZE - 1)]
    if likely(va & (~<u64>OFFSET_MASK | 3) == e.rtag):
        h.x[ip.rd] = (<u32*>(va + e.addend))[0]
        advance(h, ip, left)
    else:
        load_slow(h, ip, left, va, 2)

cdef void op_sb(HartState* h, Op* ip, i64 left) noexcept nogil:
    cdef u64 va = h.x[ip.rs1] + <i64>ip.imm
    cdef TlbEntry* e = &h.tlb[(va >> PAGE_SHIFT) & (TLB_SIZE - 1)]
    if likely(va & ~<u64>OFFSET_MASK == e.wtag):
        (<u8*>(va + e.addend))[0] = <u8>h.x[ip.rs2]
        advance(h, ip, left)
    else:
        store_slow(h, ip, left, va, 0)

cdef void op_sh(HartState* h, Op* ip, i64 left) noexcept nogil:
    cdef u64 va = h.x[ip.rs1] + <i64>ip.imm
    cdef TlbEntry* e = &h.tlb[(va >> PAGE_SHIFT) & (TLB_SIZE - 1)]
    if likely(va & (~<u64>OFFSET_MASK | 1) == e.wtag):
        (<u16*>(va + e.addend))[0] = <u16>h.x[ip.rs2]
        advance(h, ip, left)
    else:
        store_slow(h, ip, left, va, 1)

cdef void op_sw(HartState* h, Op* ip, i64 left) noexcept nogil:
    cdef u64 va = h.x[ip.rs1] + <i64>ip.imm
    cdef TlbEntry* e = &h.tlb[(va >> PAGE_SHIFT) & (TLB_SIZE - 1)]
    if likely(va & (~<u64>OFFSET_MASK | 3) == e.wtag):
        (<u32*>(va + e.addend))[0] = <u32>h.x[ip.rs2]
        advance(h, ip, left)
    else:
        store_slow(h, ip, left, va, 2)

cdef void op_sd(HartState* h, Op* ip, i64 left) noexcept nogil:
    cdef u64 va = h.x[ip.rs1] + <i64>ip.imm
    cdef TlbEntry* e = &h.tlb[(va >> PAGE_SHIFT) & (TLB_SIZE - 1)]
    if likely(va & (~<u64>OFFSET_MASK | 7) == e.wtag):
        (<u64*>(va + e.addend))[0] = <u64>h.x[ip.rs2]
        advance(h, ip, left)
    else:
        store_slow(h, ip, left, va, 3)


# ---------------------------------------------------------------- atomics ("A")

cdef enum:                      # the operations of an AMO
    AMO_SWAP = 0
    AMO_ADD = 1
    AMO_XOR = 2
    AMO_AND = 3
    AMO_OR = 4
    AMO_MIN = 5
    AMO_MAX = 6
    AMO_MINU = 7
    AMO_MAXU = 8


cdef u8* atomic_place(HartState* h, Op* ip, i64 left, u64 size, int access, u64* hpa) noexcept nogil:
    """Where in the host an atomic's operand lies; NULL with the exception waiting.  Misaligned: an address-misaligned exception."""
    cdef u64 va = h.x[ip.rs1], acts = TDATA1_LOAD if access == LOAD else TDATA1_STORE, tval = va
    cdef int cause
    if access == STORE and ip.run != op_sc_w and ip.run != op_sc_d:
        acts |= TDATA1_LOAD                     # an AMO is both
    if watched(h, h.data_context.mode & CTX_V != 0, va, size, acts, &tval):
        fault(h, ip, left, CAUSE_BREAKPOINT, tval)
        return NULL
    if va & (size - 1):
        fault_plain(h, ip, left, CAUSE_LOAD_ADDRESS_MISALIGNED if access == LOAD else CAUSE_STORE_ADDRESS_MISALIGNED, va,
                    (h.data_context.mode & CTX_V) != 0)
        return NULL
    cause = data_address(h, h.data_context, va, size, access, hpa)
    if cause == 0 and not in_ram(h.mem, hpa[0], size):
        cause = access_fault(access)            # devices do not do atomics
    if cause:
        fault(h, ip, left, <u64>cause, va)
        return NULL
    if access == LOAD:
        watch(h, hpa[0], size, LOADS)
    elif acts & TDATA1_LOAD:
        about_to_store(h, ip, left, hpa[0], size, LOADS | STORES)
    return host(h.mem, hpa[0])


cdef void atomic_stored(HartState* h, Op* ip, i64 left, u64 hpa, u64 size) noexcept nogil:
    others_stored(h, hpa, size)
    accessed(h, ip, left, stored(h.mem, hpa, size))


cdef inline u64 combined(int operation, i64 old, i64 operand) noexcept nogil:
    if operation == AMO_SWAP: return <u64>operand
    if operation == AMO_ADD: return <u64>old + <u64>operand
    if operation == AMO_XOR: return <u64>(old ^ operand)
    if operation == AMO_AND: return <u64>(old & operand)
    if operation == AMO_OR: return <u64>(old | operand)
    if operation == AMO_MIN: return <u64>(old if old < operand else operand)
    if operation == AMO_MAX: return <u64>(old if old > operand else operand)
    if operation == AMO_MINU: return <u64>old if <u64>old < <u64>operand else <u64>operand
    return <u64>old if <u64>old > <u64>operand else <u64>operand


cdef inline void amo_word(HartState* h, Op* ip, i64 left, int operation) noexcept nogil:
    cdef u64 hpa = 0
    cdef u8* place = atomic_place(h, ip, left, 4, STORE, &hpa)
    cdef i32 old
    if place == NULL:
        return
    old = (<i32*>place)[0]
    (<u32*>place)[0] = <u32>combined(operation, old, <i32>h.x[ip.rs2])     # sign-extended operands order as 32-bit ones do
    h.x[ip.rd] = <u64><i64>old
    atomic_stored(h, ip, left, hpa, 4)


cdef inline void amo_double(HartState* h, Op* ip, i64 left, int operation) noexcept nogil:
    cdef u64 hpa = 0
    cdef u8* place = atomic_place(h, ip, left, 8, STORE, &hpa)
    cdef u64 old
    if place == NULL:
        return
    old = (<u64*>place)[0]
    (<u64*>place)[0] = combined(operation, <i64>old, <i64>h.x[ip.rs2])
    h.x[ip.rd] = old
    atomic_stored(h, ip, left, hpa, 8)


cdef void op_amoswap_w(HartState* h, Op* ip, i64 left) noexcept nogil:
    amo_word(h, ip, left, AMO_SWAP)

cdef void op_amoadd_w(HartState* h, Op* ip, i64 left) noexcept nogil:
    amo_word(h, ip, left, AMO_ADD)

cdef void op_amoxor_w(HartState* h, Op* ip, i64 left) noexcept nogil:
    amo_word(h, ip, left, AMO_XOR)

cdef void op_amoand_w(HartState* h, Op* ip, i64 left) noexcept nogil:
    amo_word(h, ip, left, AMO_AND)

cdef void op_amoor_w(HartState* h, Op* ip, i64 left) noexcept nogil:
    amo_word(h, ip, left, AMO_OR)

cdef void op_amomin_w(HartState* h, Op* ip, i64 left) noexcept nogil:
    amo_word(h, ip, left, AMO_MIN)

cdef void op_amomax_w(HartState* h, Op* ip, i64 left) noexcept nogil:
    amo_word(h, ip, left, AMO_MAX)

cdef void op_amominu_w(HartState* h, Op* ip, i64 left) noexcept nogil:
    amo_word(h, ip, left, AMO_MINU)

cdef void op_amomaxu_w(HartState* h, Op* ip, i64 left) noexcept nogil:
    amo_word(h, ip, left, AMO_MAXU)

cdef void op_amoswap_d(HartState* h, Op* ip, i64 left) noexcept nogil:
    amo_double(h, ip, left, AMO_SWAP)

cdef void op_amoadd_d(HartState* h, Op* ip, i64 left) noexcept nogil:
    amo_double(h, ip, left, AMO_ADD)

cdef void op_amoxor_d(HartState* h, Op* ip, i64 left) noexcept nogil:
    amo_double(h, ip, left, AMO_XOR)

cdef void op_amoand_d(HartState* h, Op* ip, i64 left) noexcept nogil:
    amo_double(h, ip, left, AMO_AND)

cdef void op_amoor_d(HartState* h, Op* ip, i64 left) noexcept nogil:
    amo_double(h, ip, left, AMO_OR)

cdef void op_amomin_d(HartState* h, Op* ip, i64 left) noexcept nogil:
    amo_double(h, ip, left, AMO_MIN)

cdef void op_amomax_d(HartState* h, Op* ip, i64 left) noexcept nogil:
    amo_double(h, ip, left, AMO_MAX)

cdef void op_amominu_d(HartState* h, Op* ip, i64 left) noexcept nogil:
    amo_double(h, ip, left, AMO_MINU)

cdef void op_amomaxu_d(HartState* h, Op* ip, i64 left) noexcept nogil:
    amo_double(h, ip, left, AMO_MAXU)


cdef void op_lr_w(HartState* h, Op* ip, i64 left) noexcept nogil:
    cdef u64 hpa = 0
    cdef u8* place = atomic_place(h, ip, left, 4, LOAD, &hpa)
    if place != NULL:
        h.x[ip.rd] = <u64><i64>(<i32*>place)[0]
        h.reservation = hpa
        accessed(h, ip, left, False)

cdef void op_lr_d(HartState* h, Op* ip, i64 left) noexcept nogil:
    cdef u64 hpa = 0
    cdef u8* place = atomic_place(h, ip, left, 8, LOAD, &hpa)
    if place != NULL:
        h.x[ip.rd] = (<u64*>place)[0]
        h.reservation = hpa
        accessed(h, ip, left, False)

cdef inline void store_conditional(HartState* h, Op* ip, i64 left, u64 size) noexcept nogil:
    """SC faults as a store does, reservation or none; it succeeds only at the very address of the LR."""
    cdef u64 hpa = 0, reserved
    cdef u64 value = h.x[ip.rs2]
    cdef u8* place = atomic_place(h, ip, left, size, STORE, &hpa)
    if place == NULL:
        return
    reserved = h.reservation
    h.reservation = EVERY_BIT
    h.x[ip.rd] = reserved != hpa
    if reserved != hpa:
        accessed(h, ip, left, False)
        return
    about_to_store(h, ip, left, hpa, size, STORES)
    memcpy(place, &value, size)
    atomic_stored(h, ip, left, hpa, size)

cdef void op_sc_w(HartState* h, Op* ip, i64 left) noexcept nogil:
    store_conditional(h, ip, left, 4)

cdef void op_sc_d(HartState* h, Op* ip, i64 left) noexcept nogil:
    store_conditional(h, ip, left, 8)
