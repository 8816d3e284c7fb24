# Decoding into basic blocks, and the table of blocks.  Every rule of encoding comes from core.isa's rows (see decode.pxi); here
# stands only what a block is: straight-line code of one page that ends where control may leave it.

cdef inline Block* block_of(Op* ip) noexcept nogil:
    return (<Block*>(ip - ip.idx)) - 1


cdef inline Op* ops_of(Block* b) noexcept nogil:
    return <Op*>(b + 1)


cdef inline u64 block_bucket(u64 hpa, u64 vpc) noexcept nogil:
    return ((hpa >> 1) ^ (hpa >> 17) ^ (vpc >> PAGE_SHIFT) * 0x9E3779B1u) & (HASH_SIZE - 1)


cdef void* arena_take(MemState* mem, u64 size) noexcept nogil:
    """Room for a block, or NULL when the code cache is full."""
    cdef void* place
    size = (size + 15) & ~<u64>15
    if mem.n_chunks == 0 or mem.chunk_used + size > ARENA_CHUNK:
        if mem.n_chunks == ARENA_CHUNKS:
            return NULL
        mem.chunks[mem.n_chunks] = <char*>malloc(ARENA_CHUNK)
        if mem.chunks[mem.n_chunks] == NULL:
            return NULL
        mem.n_chunks += 1
        mem.chunk_used = 0
    place = mem.chunks[mem.n_chunks - 1] + mem.chunk_used
    mem.chunk_used += size
    return place


cdef void code_reset(MemState* mem) noexcept nogil:
    """Forget every block. Only between blocks: no hart may be inside one."""
    cdef u64 frame
    cdef int i
    for i in range(mem.n_chunks):
        free(mem.chunks[i])
    mem.n_chunks = 0
    mem.chunk_used = 0
    memset(mem.hash, 0, HASH_SIZE * sizeof(Block*))
    for frame in range(mem.size >> PAGE_SHIFT):
        if mem.flags[frame] & FRAME_CODE:
            mem.page_blocks[frame] = NULL
            mem.flags[frame] &= ~<u8>FRAME_CODE
    for i in range(mem.n_harts):
        hart_flush(mem.harts[i])                    # new epochs: no jump-cache entry survives
        mem.harts[i].link_from = NULL


cdef void op_dead(HartState* h, Op* ip, i64 left) noexcept nogil:
    """Every op of a killed block.  Links may still point to its first, and a hart may be inside: look this address up again."""
    stop_at(h, ip, left)


cdef void block_kill(MemState* mem, Block* b) noexcept nogil:
    """Take a block out of use; its memory stays until the next reset, since a hart may be running its last instruction."""
    cdef Block** link = &mem.hash[block_bucket(b.hpa, b.vpc)]
    cdef u64 op
    while link[0] != b:
        link = &link[0].hash_next
    link[0] = b.hash_next
    for op in range(<u64>(<Op*>b.side - ops_of(b)) - 1):
        ops_of(b)[op].run = op_dead


cdef inline u32 bits_at(HartState* h, u64 hpa) noexcept nogil:
    """The instruction at a physical address (its first half only where it crosses the page)."""
    cdef u32 bits = (<u16*>host(h.mem, hpa))[0]
    if bits & 3 == 3 and hpa & OFFSET_MASK != PAGE_SIZE - 2:
        bits |= <u32>(<u16*>host(h.mem, hpa + 2))[0] << 16
    return bits


cdef bint op_place(HartState* h, Op* op, i16* kind, u32 bits, u64 offset) noexcept nogil:
    """Predecode one instruction at `offset` bytes from its block's start. True if it ends the block.  `kind` becomes its row if it has
    the handler that this usually has."""
    cdef Decoded d
    cdef i64 relative
    kind[0] = NOT_FUSED
    if not decode(h, bits, &d):
        op.run = op_illegal
        op.imm = <i32>bits
        op.rd = SINK
        op.rs1 = op.rs2 = 0
        return True
    DECODED[d.op] += 1
    op.run = HANDLERS[d.op]
    op.imm = d.imm
    op.rd = d.rd if d.rd else SINK
    op.rs1 = d.rs1
    op.rs2 = d.rs2
    kind[0] = <i16>d.op
    if WORK[d.op]:
        float_place(op, d.op)
    elif d.op == OP_AUIPC:
        relative = <i64>d.imm + <i64>offset
        if relative == <i32>relative:
            op.imm = <i32>relative
        else:
            op.run = op_auipc_far
            kind[0] = NOT_FUSED
    elif ENDS_BLOCK[d.op]:
        if PC_RELATIVE[d.op]:
            op.imm = d.imm + <i32>offset
        if not h.enabled[EXT_ZCA]:
            require_aligned_target(op, &d)
            kind[0] = NOT_FUSED
        return True
    return False


cdef Block* block_build(HartState* h, u64 vpc, u64 hpa) noexcept nogil:
    """Translate the code at vpc (physically hpa) up to where control may leave it; NULL if its first instruction crosses the page."""
    cdef MemState* mem = h.mem
    cdef Op ops[BLOCK_LIMIT + 1]
    cdef Side side[BLOCK_LIMIT + 2]
    cdef i16 kinds[BLOCK_LIMIT + 1]
    cdef u64 offset = 0, room = PAGE_SIZE - (vpc & OFFSET_MASK), length
    cdef u32 bits
    cdef int n = 0, total
    cdef bint ended = False
    cdef Block* b
    cdef u64 bucket
    while not ended and n < BLOCK_LIMIT and offset < room:
        bits = bits_at(h, hpa + offset)
        length = 4 if bits & 3 == 3 else 2
        if offset + length > room:
            break
        ended = op_place(h, &ops[n], &kinds[n], bits, offset)
        if n and kinds[n] == OP_JALR and jump_known(h, &ops[n], &ops[n - 1], kinds[n - 1], vpc):
            kinds[n] = OP_JAL
        ops[n].idx = <u8>n
        side[n].offset = <u16>offset
        side[n].ordinal = <u16>n
        offset += length
        n += 1
    if n == 0:
        return NULL
    fuse_rows(ops, kinds, n)
    total = n
    if not ended:
        ops[n].run = op_fallthrough
        ops[n].imm = 0
        ops[n].rd = SINK
        ops[n].rs1 = ops[n].rs2 = 0
        ops[n].idx = <u8>n
        total = n + 1
    side[n].offset = <u16>offset
    side[n].ordinal = <u16>n
    b = <Block*>arena_take(mem, sizeof(Block) + (<u64>total + 1) * sizeof(Op) + (<u64>n + 1) * sizeof(Side))
    if b == NULL:
        code_reset(mem)
        b = <Block*>arena_take(mem, sizeof(Block) + (<u64>total + 1) * sizeof(Op) + (<u64>n + 1) * sizeof(Side))
    b.vpc = vpc
    b.hpa = hpa
    b.next_vpc = vpc + offset
    b.n = <u32>n
    b.straddle = 0
    b.side = <Side*>(ops_of(b) + total + 1)
    memcpy(ops_of(b), ops, <u64>total * sizeof(Op))
    memset(ops_of(b) + total, 0, sizeof(Links))
    memcpy(b.side, side, (<u64>n + 1) * sizeof(Side))
    bucket = block_bucket(hpa, vpc)
    b.hash_next = mem.hash[bucket]
    mem.hash[bucket] = b
    b.page_next = mem.page_blocks[frame_of(mem, hpa)]
    mem.page_blocks[frame_of(mem, hpa)] = b
    feed(mem, frame_of(mem, hpa), FRAME_CODE)
    return b


cdef Block* block_single(HartState* h, u64 vpc, u64 hpa, u32 bits) noexcept nogil:
    """The one instruction at vpc as a block of its own, in no table: for exact stops and for instructions that cross a page."""
    cdef Block* b = &h.scratch
    cdef u64 length = 4 if bits & 3 == 3 else 2
    cdef i16 kind
    b.vpc = vpc
    b.hpa = hpa
    b.next_vpc = vpc + length
    b.n = 1
    b.straddle = bits if (vpc & OFFSET_MASK) + length > PAGE_SIZE else 0
    b.side = h.scratch_side
    memset(&h.scratch_ops[1], 0, 2 * sizeof(Op))
    if not op_place(h, &h.scratch_ops[0], &kind, bits, 0):
        h.scratch_ops[1].run = op_fallthrough
        h.scratch_ops[1].idx = 1
    h.scratch_ops[0].idx = 0
    h.scratch_side[0].offset = 0
    h.scratch_side[0].ordinal = 0
    h.scratch_side[1].offset = <u16>length
    h.scratch_side[1].ordinal = 1
    return b


cdef int fetch_address(HartState* h, u64 va, u64* hpa) noexcept nogil:
    """Translate the fetch of the two bytes at va: 0, or the cause of the exception."""
    cdef TlbEntry* e = &h.fetch_context.tlb[(va >> PAGE_SHIFT) & (TLB_SIZE - 1)]
    cdef int cause
    if e.xtag == va & ~<u64>OFFSET_MASK:
        hpa[0] = va + e.addend - <u64>h.mem.ram + h.mem.base
        return 0
    cause = translate(h, h.fetch_context, va, 2, FETCH, hpa)
    if cause == 0 and not in_ram(h.mem, hpa[0], 2):
        return CAUSE_INSTRUCTION_ACCESS_FAULT       # code runs from RAM only
    return cause


cdef void fetch_fault(HartState* h, int cause, u64 va) noexcept nogil:
    h.fault_insn = 0
    raise_exception(h, <u64>cause, va)


cdef Block* block_find(HartState* h, bint single) noexcept nogil:
    """The block at pc, translated if need be, or with `single` just its first instruction; NULL with an exception waiting."""
    cdef MemState* mem = h.mem
    cdef u64 vpc = h.pc, hpa = 0, second = 0
    cdef Jump* jump = &h.jump[(vpc >> 1) & (JUMP_SIZE - 1)]
    cdef Block* b
    cdef u32 bits
    cdef int cause
    cdef bint cached
    if not single and jump.vpc == vpc and jump.epoch == h.fetch_epoch and ops_of(jump.block).run != op_dead:
        return jump.block
    cause = fetch_address(h, vpc, &hpa)
    if cause:
        fetch_fault(h, cause, vpc)
        return NULL
    cached = h.fetch_context.tlb[(vpc >> PAGE_SHIFT) & (TLB_SIZE - 1)].xtag == vpc & ~<u64>OFFSET_MASK
    if not single and cached:
        b = mem.hash[block_bucket(hpa, vpc)]
        while b != NULL and (b.hpa != hpa or b.vpc != vpc):
            b = b.hash_next
        if b == NULL:
            b = block_build(h, vpc, hpa)
        if b != NULL:
            jump.vpc = vpc
            jump.epoch = h.fetch_epoch
            jump.block = b
            return b
    bits = bits_at(h, hpa)
    if bits & 3 == 3 and vpc & OFFSET_MASK == PAGE_SIZE - 2:
        cause = fetch_address(h, vpc + 2, &second)
        if cause:
            fetch_fault(h, cause, vpc + 2)
            return NULL
        bits |= <u32>(<u16*>host(mem, second))[0] << 16
    elif bits & 3 == 3 and not cached:
        cause = translate(h, h.fetch_context, vpc + 2, 2, FETCH, &second)       # PMP may part the halves
        if cause:
            fetch_fault(h, cause, vpc + 2)
            return NULL
    return block_single(h, vpc, hpa, bits)
