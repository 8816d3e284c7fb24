# Jumps of a hart without compressed instructions (IALIGN=32): a target that is not a multiple of four raises an
# instruction-address-misaligned exception on the jump, before rd is written (unprivileged manual, "Control Transfer Instructions").
# These handlers take the usual ones' places when such a hart decodes; nobody else pays for them.

cdef void require_aligned_target(Op* op, Decoded* d) noexcept nogil:
    """Called with a jump or branch just decoded."""
    if d.op == OP_JALR:
        op.run = op_jalr_aligned
    elif PC_RELATIVE[d.op] and d.imm & 2:
        if d.op == OP_JAL:
            op.run = op_jal_misaligned
        else:
            op.run = op_branch_misaligned
            op.rd = <u8>(ROW_MATCH[d.op] >> 12 & 7)


cdef SLOW misaligned_target(HartState* h, Op* ip, i64 left, u64 target) noexcept nogil:
    fault_plain(h, ip, left, CAUSE_INSTRUCTION_ADDRESS_MISALIGNED, target, h.virtual)


cdef void op_jal_misaligned(HartState* h, Op* ip, i64 left) noexcept nogil:
    misaligned_target(h, ip, left, block_of(ip).vpc + <i64>ip.imm)


cdef void op_jalr_aligned(HartState* h, Op* ip, i64 left) noexcept nogil:
    cdef u64 target = (h.x[ip.rs1] + <i64>ip.imm) & ~<u64>1
    if target & 2:
        misaligned_target(h, ip, left, target)
        return
    h.x[ip.rd] = block_of(ip).next_vpc
    jump(h, target, left)


cdef void op_branch_misaligned(HartState* h, Op* ip, i64 left) noexcept nogil:
    """A branch that faults if taken; rd holds its funct3: bit 2 compares by order, bit 1 unsigned, bit 0 inverts."""
    cdef bint taken = h.x[ip.rs1] == h.x[ip.rs2]
    if ip.rd & 4:
        taken = h.x[ip.rs1] < h.x[ip.rs2] if ip.rd & 2 else <i64>h.x[ip.rs1] < <i64>h.x[ip.rs2]
    if taken != (ip.rd & 1):
        misaligned_target(h, ip, left, block_of(ip).vpc + <i64>ip.imm)
    else:
        go_on(h, ip, left)
