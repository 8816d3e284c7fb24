# The execute unit, integer part: one handler an instruction (unprivileged manual, RV64I and "M").  A handler does its work and
# tail-calls the next op's; x0 as a destination was decoded to x[SINK], and an x0 source is x[0], which nothing writes.

cdef inline void advance(HartState* h, Op* ip, i64 left) noexcept nogil:
    ip[1].run(h, ip + 1, left)


cdef void op_illegal(HartState* h, Op* ip, i64 left) noexcept nogil:
    fault_illegal(h, ip, left, False)


# ---------------------------------------------------------------- control flow

cdef void leave(HartState* h, u64 target, i64 left) noexcept nogil:
    h.pc = target
    h.left = left


cdef inline void enter(HartState* h, Block* b, i64 left) noexcept nogil:
    """Run a block if the budget covers all of it; else the run loop single-steps what is left."""
    left -= b.n
    if likely(left >= 0):
        ops_of(b).run(h, ops_of(b), left)
    else:
        leave(h, b.vpc, left + b.n)


cdef inline void jump(HartState* h, u64 target, i64 left) noexcept nogil:
    """Go to an address that no link leads to, through the jump cache."""
    cdef Jump* entry = &h.jump[(target >> 1) & (JUMP_SIZE - 1)]
    if likely(entry.vpc == target and entry.epoch == h.fetch_epoch):
        enter(h, entry.block, left)
    else:
        leave(h, target, left)


cdef SLOW jump_linking(HartState* h, u64 target, i64 left, Block* b, Block** link) noexcept nogil:
    """Go to an address for the first time from here; within the page, where translation cannot differ, leave a direct link."""
    if (target ^ b.vpc) >> PAGE_SHIFT == 0:
        h.link_from = link
        leave(h, target, left)
    else:
        jump(h, target, left)


cdef inline void go_taken(HartState* h, Op* ip, i64 left) noexcept nogil:
    cdef Links* links = <Links*>(ip + 1)
    if likely(links.taken != NULL):
        enter(h, links.taken, left)
    else:
        jump_linking(h, block_of(ip).vpc + <i64>ip.imm, left, block_of(ip), &links.taken)


cdef inline void go_on(HartState* h, Op* ip, i64 left) noexcept nogil:
    cdef Links* links = <Links*>(ip + 1)
    if likely(links.fallthrough != NULL):
        enter(h, links.fallthrough, left)
    else:
        jump_linking(h, block_of(ip).next_vpc, left, block_of(ip), &links.fallthrough)


cdef void op_fallthrough(HartState* h, Op* ip, i64 left) noexcept nogil:
    go_on(h, ip, left)

cdef void op_jal(HartState* h, Op* ip, i64 left) noexcept nogil:
    h.x[ip.rd] = block_of(ip).next_vpc
    go_taken(h, ip, left)

cdef void op_jalr(HartState* h, Op* ip, i64 left) noexcept nogil:
    cdef u64 target = (h.x[ip.rs1] + <i64>ip.imm) & ~<u64>1
    h.x[ip.rd] = block_of(ip).next_vpc
    jump(h, target, left)

cdef void op_beq(HartState* h, Op* ip, i64 left) noexcept nogil:
    if h.x[ip.rs1] == h.x[ip.rs2]:
        go_taken(h, ip, left)
    else:
        go_on(h, ip, left)

cdef void op_bne(HartState* h, Op* ip, i64 left) noexcept nogil:
    if h.x[ip.rs1] != h.x[ip.rs2]:
        go_taken(h, ip, left)
    else:
        go_on(h, ip, left)

cdef void op_blt(HartState* h, Op* ip, i64 left) noexcept nogil:
    if <i64>h.x[ip.rs1] < <i64>h.x[ip.rs2]:
        go_taken(h, ip, left)
    else:
        go_on(h, ip, left)

cdef void op_bge(HartState* h, Op* ip, i64 left) noexcept nogil:
    if <i64>h.x[ip.rs1] >= <i64>h.x[ip.rs2]:
        go_taken(h, ip, left)
    else:
        go_on(h, ip, left)

cdef void op_bltu(HartState* h, Op* ip, i64 left) noexcept nogil:
    if h.x[ip.rs1] < h.x[ip.rs2]:
        go_taken(h, ip, left)
    else:
        go_on(h, ip, left)

cdef void op_bgeu(HartState* h, Op* ip, i64 left) noexcept nogil:
    if h.x[ip.rs1] >= h.x[ip.rs2]:
        go_taken(h, ip, left)
    else:
        go_on(h, ip, left)


# ---------------------------------------------------------------- integer computation

cdef void op_lui(HartState* h, Op* ip, i64 left) noexcept nogil:
    h.x[ip.rd] = <u64><i64>ip.imm
    advance(h, ip, left)

cdef void op_auipc(HartState* h, Op* ip, i64 left) noexcept nogil:
    h.x[ip.rd] = block_of(ip).vpc + <i64>ip.imm
    advance(h, ip, left)

cdef void op_auipc_far(HartState* h, Op* ip, i64 left) noexcept nogil:
    """AUIPC whose offset from the block's start does not fit the op's immediate."""
    h.x[ip.rd] = block_of(ip).vpc + block_of(ip).side[ip.idx].offset + <i64>ip.imm
    advance(h, ip, left)

cdef void op_addi(HartState* h, Op* ip, i64 left) noexcept nogil:
    h.x[ip.rd] = h.x[ip.rs1] + <i64>ip.imm
    advance(h, ip, left)

cdef void op_slti(HartState* h, Op* ip, i64 left) noexcept nogil:
    h.x[ip.rd] = <i64>h.x[ip.rs1] < <i64>ip.imm
    advance(h, ip, left)

cdef void op_sltiu(HartState* h, Op* ip, i64 left) noexcept nogil:
    h.x[ip.rd] = h.x[ip.rs1] < <u64><i64>ip.imm
    advance(h, ip, left)

cdef void op_xori(HartState* h, Op* ip, i64 left) noexcept nogil:
    h.x[ip.rd] = h.x[ip.rs1] ^ <u64><i64>ip.imm
    advance(h, ip, left)

cdef void op_ori(HartState* h, Op* ip, i64 left) noexcept nogil:
    h.x[ip.rd] = h.x[ip.rs1] | <u64><i64>ip.imm
    advance(h, ip, left)

cdef void op_andi(HartState* h, Op* ip, i64 left) noexcept nogil:
    h.x[ip.rd] = h.x[ip.rs1] & <u64><i64>ip.imm
    advance(h, ip, left)

cdef void op_slli(HartState* h, Op* ip, i64 left) noexcept nogil:
    h.x[ip.rd] = h.x[ip.rs1] << ip.imm
    advance(h, ip, left)

cdef void op_srli(HartState* h, Op* ip, i64 left) noexcept nogil:
    h.x[ip.rd] = h.x[ip.rs1] >> ip.imm
    advance(h, ip, left)

cdef void op_srai(HartState* h, Op* ip, i64 left) noexcept nogil:
    h.x[ip.rd] = <u64>(<i64>h.x[ip.rs1] >> ip.imm)
    advance(h, ip, left)

cdef void op_add(HartState* h, Op* ip, i64 left) noexcept nogil:
    h.x[ip.rd] = h.x[ip.rs1] + h.x[ip.rs2]
    advance(h, ip, left)

cdef void op_sub(HartState* h, Op* ip, i64 left) noexcept nogil:
    h.x[ip.rd] = h.x[ip.rs1] - h.x[ip.rs2]
    advance(h, ip, left)

cdef void op_sll(HartState* h, Op* ip, i64 left) noexcept nogil:
    h.x[ip.rd] = h.x[ip.rs1] << (h.x[ip.rs2] & 63)
    advance(h, ip, left)

cdef void op_slt(HartState* h, Op* ip, i64 left) noexcept nogil:
    h.x[ip.rd] = <i64>h.x[ip.rs1] < <i64>h.x[ip.rs2]
    advance(h, ip, left)

cdef void op_sltu(HartState* h, Op* ip, i64 left) noexcept nogil:
    h.x[ip.rd] = h.x[ip.rs1] < h.x[ip.rs2]
    advance(h, ip, left)

cdef void op_xor(HartState* h, Op* ip, i64 left) noexcept nogil:
    h.x[ip.rd] = h.x[ip.rs1] ^ h.x[ip.rs2]
    advance(h, ip, left)

cdef void op_srl(HartState* h, Op* ip, i64 left) noexcept nogil:
    h.x[ip.rd] = h.x[ip.rs1] >> (h.x[ip.rs2] & 63)
    advance(h, ip, left)

cdef void op_sra(HartState* h, Op* ip, i64 left) noexcept nogil:
    h.x[ip.rd] = <u64>(<i64>h.x[ip.rs1] >> (h.x[ip.rs2] & 63))
    advance(h, ip, left)

cdef void op_or(HartState* h, Op* ip, i64 left) noexcept nogil:
    h.x[ip.rd] = h.x[ip.rs1] | h.x[ip.rs2]
    advance(h, ip, left)

cdef void op_and(HartState* h, Op* ip, i64 left) noexcept nogil:
    h.x[ip.rd] = h.x[ip.rs1] & h.x[ip.rs2]
    advance(h, ip, left)

cdef void op_addiw(HartState* h, Op* ip, i64 left) noexcept nogil:
    h.x[ip.rd] = <u64><i64><i32>(<u32>h.x[ip.rs1] + <u32>ip.imm)
    advance(h, ip, left)

cdef void op_slliw(HartState* h, Op* ip, i64 left) noexcept nogil:
    h.x[ip.rd] = <u64><i64><i32>(<u32>h.x[ip.rs1] << ip.imm)
    advance(h, ip, left)

cdef void op_srliw(HartState* h, Op* ip, i64 left) noexcept nogil:
    h.x[ip.rd] = <u64><i64><i32>(<u32>h.x[ip.rs1] >> ip.imm)
    advance(h, ip, left)

cdef void op_sraiw(HartState* h, Op* ip, i64 left) noexcept nogil:
    h.x[ip.rd] = <u64><i64><i32>(<i32>h.x[ip.rs1] >> ip.imm)
    advance(h, ip, left)

cdef void op_addw(HartState* h, Op* ip, i64 left) noexcept nogil:
    h.x[ip.rd] = <u64><i64><i32>(<u32>h.x[ip.rs1] + <u32>h.x[ip.rs2])
    advance(h, ip, left)

cdef void op_subw(HartState* h, Op* ip, i64 left) noexcept nogil:
    h.x[ip.rd] = <u64><i64><i32>(<u32>h.x[ip.rs1] - <u32>h.x[ip.rs2])
    advance(h, ip, left)

cdef void op_sllw(HartState* h, Op* ip, i64 left) noexcept nogil:
    h.x[ip.rd] = <u64><i64><i32>(<u32>h.x[ip.rs1] << (h.x[ip.rs2] & 31))
    advance(h, ip, left)

cdef void op_srlw(HartState* h, Op* ip, i64 left) noexcept nogil:
    h.x[ip.rd] = <u64><i64><i32>(<u32>h.x[ip.rs1] >> (h.x[ip.rs2] & 31))
    advance(h, ip, left)

cdef void op_sraw(HartState* h, Op* ip, i64 left) noexcept nogil:
    h.x[ip.rd] = <u64><i64><i32>(<i32>h.x[ip.rs1] >> (h.x[ip.rs2] & 31))
    advance(h, ip, left)

cdef void op_fence(HartState* h, Op* ip, i64 left) noexcept nogil:
    advance(h, ip, left)                # one hart at a time, in order: every access is already ordered

cdef void op_fence_i(HartState* h, Op* ip, i64 left) noexcept nogil:
    advance(h, ip, left)                # decoded code never outlives a store to it


# ---------------------------------------------------------------- multiplication and division ("M": no traps; x / 0 = -1, x % 0 = x)

cdef void op_mul(HartState* h, Op* ip, i64 left) noexcept nogil:
    h.x[ip.rd] = h.x[ip.rs1] * h.x[ip.rs2]
    advance(h, ip, left)

cdef extern from *:
    """
    static inline hv_u64 hv_mulh(hv_u64 a, hv_u64 b) { return (hv_u64)(((hv_i128)(hv_i64)a * (hv_i64)b) >> 64); }
    static inline hv_u64 hv_mulhsu(hv_u64 a, hv_u64 b) { return (hv_u64)(((hv_i128)(hv_i64)a * (hv_i128)(hv_u128)b) >> 64); }
    static inline hv_u64 hv_mulhu(hv_u64 a, hv_u64 b) { return (hv_u64)(((hv_u128)a * b) >> 64); }
    """
    u64 mulh "hv_mulh"(u64 a, u64 b) noexcept nogil
    u64 mulhsu "hv_mulhsu"(u64 a, u64 b) noexcept nogil
    u64 mulhu "hv_mulhu"(u64 a, u64 b) noexcept nogil


cdef inline u64 divide(i64 a, i64 b) noexcept nogil:
    if b == 0:
        return EVERY_BIT
    if b == -1:
        return -<u64>a                  # the most negative dividend overflows to itself
    return <u64>(a / b)


cdef inline u64 remainder(i64 a, i64 b) noexcept nogil:
    if b == 0:
        return <u64>a
    if b == -1:
        return 0
    return <u64>(a % b)


cdef void op_mulh(HartState* h, Op* ip, i64 left) noexcept nogil:
    h.x[ip.rd] = mulh(h.x[ip.rs1], h.x[ip.rs2])
    advance(h, ip, left)

cdef void op_mulhsu(HartState* h, Op* ip, i64 left) noexcept nogil:
    h.x[ip.rd] = mulhsu(h.x[ip.rs1], h.x[ip.rs2])
    advance(h, ip, left)

cdef void op_mulhu(HartState* h, Op* ip, i64 left) noexcept nogil:
    h.x[ip.rd] = mulhu(h.x[ip.rs1], h.x[ip.rs2])
    advance(h, ip, left)

cdef void op_div(HartState* h, Op* ip, i64 left) noexcept nogil:
    h.x[ip.rd] = divide(<i64>h.x[ip.rs1], <i64>h.x[ip.rs2])
    advance(h, ip, left)

cdef void op_divu(HartState* h, Op* ip, i64 left) noexcept nogil:
    h.x[ip.rd] = h.x[ip.rs1] / h.x[ip.rs2] if h.x[ip.rs2] else EVERY_BIT
    advance(h, ip, left)

cdef void op_rem(HartState* h, Op* ip, i64 left) noexcept nogil:
    h.x[ip.rd] = remainder(<i64>h.x[ip.rs1], <i64>h.x[ip.rs2])
    advance(h, ip, left)

cdef void op_remu(HartState* h, Op* ip, i64 left) noexcept nogil:
    h.x[ip.rd] = h.x[ip.rs1] % h.x[ip.rs2] if h.x[ip.rs2] else h.x[ip.rs1]
    advance(h, ip, left)

cdef void op_mulw(HartState* h, Op* ip, i64 left) noexcept nogil:
    h.x[ip.rd] = <u64><i64><i32>(<u32>h.x[ip.rs1] * <u32>h.x[ip.rs2])
    advance(h, ip, left)

cdef void op_divw(HartState* h, Op* ip, i64 left) noexcept nogil:
    h.x[ip.rd] = <u64><i64><i32>(divide(<i32>h.x[ip.rs1], <i32>h.x[ip.rs2]))
    advance(h, ip, left)

cdef void op_divuw(HartState* h, Op* ip, i64 left) noexcept nogil:
    h.x[ip.rd] = <u64><i64><i32>(<u32>h.x[ip.rs1] / <u32>h.x[ip.rs2] if <u32>h.x[ip.rs2] else <u32>EVERY_BIT)
    advance(h, ip, left)

cdef void op_remw(HartState* h, Op* ip, i64 left) noexcept nogil:
    h.x[ip.rd] = <u64><i64><i32>(remainder(<i32>h.x[ip.rs1], <i32>h.x[ip.rs2]))
    advance(h, ip, left)

cdef void op_remuw(HartState* h, Op* ip, i64 left) noexcept nogil:
    h.x[ip.rd] = <u64><i64><i32>(<u32>h.x[ip.rs1] % <u32>h.x[ip.rs2] if <u32>h.x[ip.rs2] else <u32>h.x[ip.rs1])
    advance(h, ip, left)
