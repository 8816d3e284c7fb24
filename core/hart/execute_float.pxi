# The execute unit, floating-point part.  `op_float` executes any computation exactly (softfloat.pxi), told by its op's imm which one.
# In front of the common ones stands a handler that uses the host's arithmetic where that cannot differ (float_state.pxi).

cdef enum:                      # imm of a floating-point op: rm in bits 2:0, rs3 in bits 7:3 (fli's constant: 4:0), and above them
    W_SHIFT = 8                 # its work: the operation, and
    W_OPERATION = 63
    W_FORMAT_SHIFT = 6          # two bits: the format of the operands (of the result where they are none)
    W_OTHER_SHIFT = 8           # two bits: the integer type, or the format that is converted from
    W_TO_X = 1 << 10            # rd is an integer register
    W_ROUNDED = 1 << 11         # rm counts

cdef enum:                      # operations
    FLOAT_NONE = 0
    FLOAT_ADD = 1
    FLOAT_SUB = 2
    FLOAT_MUL = 3
    FLOAT_DIV = 4
    FLOAT_SQRT = 5
    FLOAT_MADD = 6
    FLOAT_MSUB = 7
    FLOAT_NMSUB = 8
    FLOAT_NMADD = 9
    FLOAT_SGNJ = 10
    FLOAT_SGNJN = 11
    FLOAT_SGNJX = 12
    FLOAT_MIN = 13
    FLOAT_MAX = 14
    FLOAT_MINM = 15
    FLOAT_MAXM = 16
    FLOAT_EQ = 17
    FLOAT_LT = 18
    FLOAT_LE = 19
    FLOAT_LTQ = 20
    FLOAT_LEQ = 21
    FLOAT_CLASS = 22
    FLOAT_TO_INTEGER = 23
    FLOAT_TO_INTEGER_MODULAR = 24
    FLOAT_FROM_INTEGER = 25
    FLOAT_CONVERT = 26
    FLOAT_ROUND = 27
    FLOAT_ROUND_TELL = 28
    FLOAT_LI = 29
    FLOAT_TO_X = 30
    FLOAT_FROM_X = 31

cdef u32 WORK[N_OPS]                       # of each floating-point computation; 0 for all other ops
cdef handler_t FAST[N_OPS]                 # its handler where the host can stand in, if its rm is FAST_RM (or dyn, if that is RNE)
cdef u8 FAST_RM[N_OPS]
cdef u64 LI_CONSTANTS[32]                  # fli's, as doubles


cdef u64 fli(u32 index, int fmt) noexcept nogil:
    """Constant 1 is the least normal number of the format itself."""
    cdef u32 none = 0
    if index == 1:
        return <u64>1 << fraction_bits(fmt)
    return to_format(take_apart(LI_CONSTANTS[index], DOUBLE), fmt, RNE, &none)


cdef u64 fuse(u32 operation, int fmt, int rm, Real a, Real b, u64 third, u32* raised) noexcept nogil:
    cdef Real c = take_apart(unbox(third, fmt), fmt)
    if operation == FLOAT_NMSUB or operation == FLOAT_NMADD:
        a.negative = not a.negative
    if operation == FLOAT_MSUB or operation == FLOAT_NMADD:
        c.negative = not c.negative
    return real_multiply_add(a, b, c, fmt, rm, raised)


cdef u64 arithmetic(u32 work, int rm, u64 first, u64 second, u64 third, u32* raised) noexcept nogil:
    """Operations on numbers, rounded; the result is not boxed."""
    cdef u32 operation = work & W_OPERATION
    cdef int fmt = work >> W_FORMAT_SHIFT & 3
    cdef Real a = take_apart(unbox(first, fmt), fmt)
    cdef Real b = take_apart(unbox(second, fmt), fmt)
    if operation == FLOAT_ADD or operation == FLOAT_SUB:
        if operation == FLOAT_SUB:
            b.negative = not b.negative
        return real_add(a, b, fmt, rm, raised)
    if operation == FLOAT_MUL:
        return real_multiply(a, b, fmt, rm, raised)
    if operation == FLOAT_DIV:
        return real_divide(a, b, fmt, rm, raised)
    if operation == FLOAT_SQRT:
        return real_square_root(a, fmt, rm, raised)
    return fuse(operation, fmt, rm, a, b, third, raised)


cdef u64 to_x(u32 work, int rm, u64 first, u64 second, u32* raised) noexcept nogil:
    """Operations whose result is an integer register's."""
    cdef u32 operation = work & W_OPERATION
    cdef int fmt = work >> W_FORMAT_SHIFT & 3
    cdef int kind = work >> W_OTHER_SHIFT & 3
    cdef u64 a = unbox(first, fmt), b = unbox(second, fmt)
    if operation == FLOAT_EQ:
        return compare(a, b, fmt, EQUAL, True, raised)
    if operation == FLOAT_LT or operation == FLOAT_LTQ:
        return compare(a, b, fmt, LESS, operation == FLOAT_LTQ, raised)
    if operation == FLOAT_LE or operation == FLOAT_LEQ:
        return compare(a, b, fmt, LESS_OR_EQUAL, operation == FLOAT_LEQ, raised)
    if operation == FLOAT_CLASS:
        return classify(a, fmt)
    if operation == FLOAT_TO_INTEGER:
        return to_integer(take_apart(a, fmt), kind, rm, raised)
    if operation == FLOAT_TO_INTEGER_MODULAR:
        return to_integer_modular(take_apart(a, fmt), raised)
    # fmv.x: the register's low bits as they are, boxed or not
    return first if fmt == DOUBLE else <u64><i64><i32>first if fmt == SINGLE else <u64><i64><i16>first


cdef u64 to_float(u32 work, int rm, u64 first, u64 second, u32* raised) noexcept nogil:
    """Operations whose result is a floating-point register's, other than arithmetic; the result is not boxed."""
    cdef u32 operation = work & W_OPERATION
    cdef int fmt = work >> W_FORMAT_SHIFT & 3
    cdef int other = work >> W_OTHER_SHIFT & 3
    cdef u64 a = unbox(first, fmt), b = unbox(second, fmt), sign = sign_of(True, fmt)
    if operation == FLOAT_SGNJ:
        return (a & ~sign) | (b & sign)
    if operation == FLOAT_SGNJN:
        return (a & ~sign) | (~b & sign)
    if operation == FLOAT_SGNJX:
        return a ^ (b & sign)
    if FLOAT_MIN <= operation <= FLOAT_MAXM:
        return extreme(a, b, fmt, operation == FLOAT_MAX or operation == FLOAT_MAXM, operation >= FLOAT_MINM, raised)
    if operation == FLOAT_FROM_INTEGER:
        return from_integer(first, other, fmt, rm, raised)
    if operation == FLOAT_CONVERT:
        return to_format(take_apart(unbox(first, other), other), fmt, rm, raised)
    if operation == FLOAT_ROUND or operation == FLOAT_ROUND_TELL:
        return to_integral(a, fmt, rm, operation == FLOAT_ROUND_TELL, raised)
    return first & ~(EVERY_BIT << sign_place(fmt) << 1)                 # fmv.w.x and its like


cdef void op_float(HartState* h, Op* ip, i64 left) noexcept nogil:
    """Any floating-point computation, exactly."""
    cdef u32 work = <u32>ip.imm >> W_SHIFT
    cdef u32 operation = work & W_OPERATION
    cdef int rm = ip.imm & 7
    cdef int fmt = work >> W_FORMAT_SHIFT & 3
    if rm == DYN:
        rm = <int>h.csr[CSR_FRM]
    if not h.float_on or (work & W_ROUNDED and rm > RMM):
        fault_illegal(h, ip, left, False)
        return
    h.raised = 0
    if work & W_TO_X:
        h.x[ip.rd] = to_x(work, rm, h.x[ip.rs1], h.x[ip.rs2], &h.raised)
    elif operation <= FLOAT_NMADD:
        h.x[ip.rd] = box(arithmetic(work, rm, h.x[ip.rs1], h.x[ip.rs2], h.x[F_BASE + (ip.imm >> 3 & 31)], &h.raised), fmt)
    elif operation == FLOAT_LI:
        h.x[ip.rd] = box(fli(ip.imm & 31, fmt), fmt)
    else:
        h.x[ip.rd] = box(to_float(work, rm, h.x[ip.rs1], h.x[ip.rs2], &h.raised), fmt)
    if h.raised or not work & W_TO_X:
        h.csr[CSR_FFLAGS] |= h.raised
        float_dirty(h)
    advance(h, ip, left)


# ---------------------------------------------------------------- loads and stores

cdef SLOW float_load_slow(HartState* h, Op* ip, i64 left, u64 va, int kind) noexcept nogil:
    if h.float_on:
        load_slow(h, ip, left, va, kind | FLOATING)
    else:
        fault_illegal(h, ip, left, False)


cdef SLOW float_store_slow(HartState* h, Op* ip, i64 left, u64 va, int kind) noexcept nogil:
    if h.float_on:
        store_slow(h, ip, left, va, kind)
    else:
        fault_illegal(h, ip, left, False)


cdef void op_flh(HartState* h, Op* ip, i64 left) noexcept nogil:
    float_load_slow(h, ip, left, h.x[ip.rs1] + <i64>ip.imm, 1)

cdef void op_flw(HartState* h, Op* ip, i64 left) noexcept nogil:
    cdef u64 va = h.x[ip.rs1] + <i64>ip.imm
    cdef TlbEntry* e = &h.tlb[(va >> PAGE_SHIFT) & (TLB_SIZE - 1)]
    if likely(va & (~<u64>OFFSET_MASK | 3) == e.rtag and h.float_ready):
        h.x[ip.rd] = (<u32*>(va + e.addend))[0] | EVERY_BIT << 32
        advance(h, ip, left)
    else:
        float_load_slow(h, ip, left, va, 2)

cdef void op_fld(HartState* h, Op* ip, i64 left) noexcept nogil:
    cdef u64 va = h.x[ip.rs1] + <i64>ip.imm
    cdef TlbEntry* e = &h.tlb[(va >> PAGE_SHIFT) & (TLB_SIZE - 1)]
    if likely(va & (~<u64>OFFSET_MASK | 7) == e.rtag and h.float_ready):
        h.x[ip.rd] = (<u64*>(va + e.addend))[0]
        advance(h, ip, left)
    else:
        float_load_slow(h, ip, left, va, 3)

cdef void op_fsh(HartState* h, Op* ip, i64 left) noexcept nogil:
    float_store_slow(h, ip, left, h.x[ip.rs1] + <i64>ip.imm, 1)

cdef void op_fsw(HartState* h, Op* ip, i64 left) noexcept nogil:
    cdef u64 va = h.x[ip.rs1] + <i64>ip.imm
    cdef TlbEntry* e = &h.tlb[(va >> PAGE_SHIFT) & (TLB_SIZE - 1)]
    if likely(va & (~<u64>OFFSET_MASK | 3) == e.wtag and h.float_on):
        (<u32*>(va + e.addend))[0] = <u32>h.x[ip.rs2]
        advance(h, ip, left)
    else:
        float_store_slow(h, ip, left, va, 2)

cdef void op_fsd(HartState* h, Op* ip, i64 left) noexcept nogil:
    cdef u64 va = h.x[ip.rs1] + <i64>ip.imm
    cdef TlbEntry* e = &h.tlb[(va >> PAGE_SHIFT) & (TLB_SIZE - 1)]
    if likely(va & (~<u64>OFFSET_MASK | 7) == e.wtag and h.float_on):
        (<u64*>(va + e.addend))[0] = h.x[ip.rs2]
        advance(h, ip, left)
    else:
        float_store_slow(h, ip, left, va, 3)
