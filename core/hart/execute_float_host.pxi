# Floating-point operations by the host's arithmetic.  Each falls back on `op_float` where the host could differ from the manual, or
# could raise a flag that has not accrued: nothing has been written by then.

cdef enum:                      # the least exponent field of a result that is certainly not tiny before rounding; sums are exact there
    OF_SUM = 0
    OF_PRODUCT = 2


cdef inline void finish_double(HartState* h, Op* ip, i64 left, double result, u64 least) noexcept nogil:
    """Write a rounded result, unless it is infinite, a NaN or may be tiny."""
    cdef u64 bits = double_bits(result)
    if likely(h.float_fast and (bits >> 52 & 0x7FF) - least < 0x7FF - least):
        h.x[ip.rd] = bits
        advance(h, ip, left)
    else:
        op_float(h, ip, left)


cdef inline void finish_single(HartState* h, Op* ip, i64 left, u64 operands, float result, u64 least) noexcept nogil:
    """The same; `operands` is the AND of all registers read, whose upper halves must be all ones."""
    cdef u64 bits = float_bits(result)
    if likely(h.float_fast and operands >> 32 == 0xFFFFFFFFu and (bits >> 23 & 0xFF) - least < 0xFF - least):
        h.x[ip.rd] = bits
        advance(h, ip, left)
    else:
        op_float(h, ip, left)


# ---------------------------------------------------------------- arithmetic

cdef void op_fadd_d(HartState* h, Op* ip, i64 left) noexcept nogil:
    finish_double(h, ip, left, double_of(h.x[ip.rs1]) + double_of(h.x[ip.rs2]), OF_SUM)

cdef void op_fsub_d(HartState* h, Op* ip, i64 left) noexcept nogil:
    finish_double(h, ip, left, double_of(h.x[ip.rs1]) - double_of(h.x[ip.rs2]), OF_SUM)

cdef void op_fmul_d(HartState* h, Op* ip, i64 left) noexcept nogil:
    finish_double(h, ip, left, double_of(h.x[ip.rs1]) * double_of(h.x[ip.rs2]), OF_PRODUCT)

cdef void op_fdiv_d(HartState* h, Op* ip, i64 left) noexcept nogil:
    finish_double(h, ip, left, double_of(h.x[ip.rs1]) / double_of(h.x[ip.rs2]), OF_PRODUCT)

cdef void op_fsqrt_d(HartState* h, Op* ip, i64 left) noexcept nogil:
    finish_double(h, ip, left, root_double(double_of(h.x[ip.rs1])), OF_SUM)

cdef void op_fadd_s(HartState* h, Op* ip, i64 left) noexcept nogil:
    finish_single(h, ip, left, h.x[ip.rs1] & h.x[ip.rs2], float_of(h.x[ip.rs1]) + float_of(h.x[ip.rs2]), OF_SUM)

cdef void op_fsub_s(HartState* h, Op* ip, i64 left) noexcept nogil:
    finish_single(h, ip, left, h.x[ip.rs1] & h.x[ip.rs2], float_of(h.x[ip.rs1]) - float_of(h.x[ip.rs2]), OF_SUM)

cdef void op_fmul_s(HartState* h, Op* ip, i64 left) noexcept nogil:
    finish_single(h, ip, left, h.x[ip.rs1] & h.x[ip.rs2], float_of(h.x[ip.rs1]) * float_of(h.x[ip.rs2]), OF_PRODUCT)

cdef void op_fdiv_s(HartState* h, Op* ip, i64 left) noexcept nogil:
    finish_single(h, ip, left, h.x[ip.rs1] & h.x[ip.rs2], float_of(h.x[ip.rs1]) / float_of(h.x[ip.rs2]), OF_PRODUCT)

cdef void op_fsqrt_s(HartState* h, Op* ip, i64 left) noexcept nogil:
    finish_single(h, ip, left, h.x[ip.rs1], root_float(float_of(h.x[ip.rs1])), OF_SUM)


cdef inline u64 third_of(HartState* h, Op* ip) noexcept nogil:
    return h.x[F_BASE + (ip.imm >> 3 & 31)]

cdef FUSED op_fmadd_d(HartState* h, Op* ip, i64 left) noexcept nogil:
    finish_double(h, ip, left, fma_double(double_of(h.x[ip.rs1]), double_of(h.x[ip.rs2]), double_of(third_of(h, ip))), OF_PRODUCT)

cdef FUSED op_fmsub_d(HartState* h, Op* ip, i64 left) noexcept nogil:
    finish_double(h, ip, left, fma_double(double_of(h.x[ip.rs1]), double_of(h.x[ip.rs2]), -double_of(third_of(h, ip))), OF_PRODUCT)

cdef FUSED op_fnmsub_d(HartState* h, Op* ip, i64 left) noexcept nogil:
    finish_double(h, ip, left, fma_double(-double_of(h.x[ip.rs1]), double_of(h.x[ip.rs2]), double_of(third_of(h, ip))), OF_PRODUCT)

cdef FUSED op_fnmadd_d(HartState* h, Op* ip, i64 left) noexcept nogil:
    finish_double(h, ip, left, fma_double(-double_of(h.x[ip.rs1]), double_of(h.x[ip.rs2]), -double_of(third_of(h, ip))), OF_PRODUCT)

cdef FUSED op_fmadd_s(HartState* h, Op* ip, i64 left) noexcept nogil:
    finish_single(h, ip, left, h.x[ip.rs1] & h.x[ip.rs2] & third_of(h, ip),
                  fma_float(float_of(h.x[ip.rs1]), float_of(h.x[ip.rs2]), float_of(third_of(h, ip))), OF_PRODUCT)

cdef FUSED op_fmsub_s(HartState* h, Op* ip, i64 left) noexcept nogil:
    finish_single(h, ip, left, h.x[ip.rs1] & h.x[ip.rs2] & third_of(h, ip),
                  fma_float(float_of(h.x[ip.rs1]), float_of(h.x[ip.rs2]), -float_of(third_of(h, ip))), OF_PRODUCT)

cdef FUSED op_fnmsub_s(HartState* h, Op* ip, i64 left) noexcept nogil:
    finish_single(h, ip, left, h.x[ip.rs1] & h.x[ip.rs2] & third_of(h, ip),
                  fma_float(-float_of(h.x[ip.rs1]), float_of(h.x[ip.rs2]), float_of(third_of(h, ip))), OF_PRODUCT)

cdef FUSED op_fnmadd_s(HartState* h, Op* ip, i64 left) noexcept nogil:
    finish_single(h, ip, left, h.x[ip.rs1] & h.x[ip.rs2] & third_of(h, ip),
                  fma_float(-float_of(h.x[ip.rs1]), float_of(h.x[ip.rs2]), -float_of(third_of(h, ip))), OF_PRODUCT)


# ---------------------------------------------------------------- signs and comparisons

cdef void op_fsgnj_d(HartState* h, Op* ip, i64 left) noexcept nogil:
    if likely(h.float_ready):
        h.x[ip.rd] = (h.x[ip.rs1] & ~SIGN_DOUBLE) | (h.x[ip.rs2] & SIGN_DOUBLE)
        advance(h, ip, left)
    else:
        op_float(h, ip, left)

cdef void op_fsgnj_s(HartState* h, Op* ip, i64 left) noexcept nogil:
    if likely(h.float_ready and (h.x[ip.rs1] & h.x[ip.rs2]) >> 32 == 0xFFFFFFFFu):
        h.x[ip.rd] = (h.x[ip.rs1] & ~SIGN_SINGLE) | (h.x[ip.rs2] & SIGN_SINGLE)
        advance(h, ip, left)
    else:
        op_float(h, ip, left)

cdef void op_fsgnjn_d(HartState* h, Op* ip, i64 left) noexcept nogil:
    if likely(h.float_ready):
        h.x[ip.rd] = (h.x[ip.rs1] & ~SIGN_DOUBLE) | (~h.x[ip.rs2] & SIGN_DOUBLE)
        advance(h, ip, left)
    else:
        op_float(h, ip, left)

cdef void op_fsgnjn_s(HartState* h, Op* ip, i64 left) noexcept nogil:
    if likely(h.float_ready and (h.x[ip.rs1] & h.x[ip.rs2]) >> 32 == 0xFFFFFFFFu):
        h.x[ip.rd] = (h.x[ip.rs1] & ~SIGN_SINGLE) | (~h.x[ip.rs2] & SIGN_SINGLE)
        advance(h, ip, left)
    else:
        op_float(h, ip, left)

cdef void op_fsgnjx_d(HartState* h, Op* ip, i64 left) noexcept nogil:
    if likely(h.float_ready):
        h.x[ip.rd] = h.x[ip.rs1] ^ (h.x[ip.rs2] & SIGN_DOUBLE)
        advance(h, ip, left)
    else:
        op_float(h, ip, left)

cdef void op_fsgnjx_s(HartState* h, Op* ip, i64 left) noexcept nogil:
    if likely(h.float_ready and (h.x[ip.rs1] & h.x[ip.rs2]) >> 32 == 0xFFFFFFFFu):
        h.x[ip.rd] = h.x[ip.rs1] ^ (h.x[ip.rs2] & SIGN_SINGLE)
        advance(h, ip, left)
    else:
        op_float(h, ip, left)


cdef inline void compared(HartState* h, Op* ip, i64 left, bint ordered, bint result) noexcept nogil:
    if likely(h.float_ready and ordered):
        h.x[ip.rd] = result
        advance(h, ip, left)
    else:
        op_float(h, ip, left)

cdef inline bint both_boxed(HartState* h, Op* ip) noexcept nogil:
    return (h.x[ip.rs1] & h.x[ip.rs2]) >> 32 == 0xFFFFFFFFu

cdef void op_feq_d(HartState* h, Op* ip, i64 left) noexcept nogil:
    cdef double a = double_of(h.x[ip.rs1]), b = double_of(h.x[ip.rs2])
    compared(h, ip, left, not unordered(a, b), a == b)

cdef void op_feq_s(HartState* h, Op* ip, i64 left) noexcept nogil:
    cdef float a = float_of(h.x[ip.rs1]), b = float_of(h.x[ip.rs2])
    compared(h, ip, left, both_boxed(h, ip) and not unordered(a, b), a == b)

cdef void op_flt_d(HartState* h, Op* ip, i64 left) noexcept nogil:
    cdef double a = double_of(h.x[ip.rs1]), b = double_of(h.x[ip.rs2])
    compared(h, ip, left, not unordered(a, b), a < b)

cdef void op_flt_s(HartState* h, Op* ip, i64 left) noexcept nogil:
    cdef float a = float_of(h.x[ip.rs1]), b = float_of(h.x[ip.rs2])
    compared(h, ip, left, both_boxed(h, ip) and not unordered(a, b), a < b)

cdef void op_fle_d(HartState* h, Op* ip, i64 left) noexcept nogil:
    cdef double a = double_of(h.x[ip.rs1]), b = double_of(h.x[ip.rs2])
    compared(h, ip, left, not unordered(a, b), a <= b)

cdef void op_fle_s(HartState* h, Op* ip, i64 left) noexcept nogil:
    cdef float a = float_of(h.x[ip.rs1]), b = float_of(h.x[ip.rs2])
    compared(h, ip, left, both_boxed(h, ip) and not unordered(a, b), a <= b)

cdef inline void chosen(HartState* h, Op* ip, i64 left, bint distinct, bint first) noexcept nogil:
    if likely(h.float_ready and distinct):
        h.x[ip.rd] = h.x[ip.rs1] if first else h.x[ip.rs2]
        advance(h, ip, left)
    else:
        op_float(h, ip, left)

cdef void op_fmin_d(HartState* h, Op* ip, i64 left) noexcept nogil:
    cdef double a = double_of(h.x[ip.rs1]), b = double_of(h.x[ip.rs2])
    chosen(h, ip, left, a < b or a > b, a < b)

cdef void op_fmin_s(HartState* h, Op* ip, i64 left) noexcept nogil:
    cdef float a = float_of(h.x[ip.rs1]), b = float_of(h.x[ip.rs2])
    chosen(h, ip, left, both_boxed(h, ip) and (a < b or a > b), a < b)

cdef void op_fmax_d(HartState* h, Op* ip, i64 left) noexcept nogil:
    cdef double a = double_of(h.x[ip.rs1]), b = double_of(h.x[ip.rs2])
    chosen(h, ip, left, a < b or a > b, a > b)

cdef void op_fmax_s(HartState* h, Op* ip, i64 left) noexcept nogil:
    cdef float a = float_of(h.x[ip.rs1]), b = float_of(h.x[ip.rs2])
    chosen(h, ip, left, both_boxed(h, ip) and (a < b or a > b), a > b)


# ---------------------------------------------------------------- conversions and moves

cdef inline void truncated(HartState* h, Op* ip, i64 left, double a, bint fits, u64 result, double back) noexcept nogil:
    """fcvt to an integer, rounding towards zero: inexact if the integer is not the number it came from."""
    if likely(h.float_ready and fits and (back == a or h.csr[CSR_FFLAGS] & FFLAGS_NX)):
        h.x[ip.rd] = result
        advance(h, ip, left)
    else:
        op_float(h, ip, left)

cdef inline bint boxed(u64 register) noexcept nogil:
    return register >> 32 == 0xFFFFFFFFu

cdef void op_fcvt_w_d(HartState* h, Op* ip, i64 left) noexcept nogil:
    cdef double a = double_of(h.x[ip.rs1])
    cdef i32 whole = 0
    cdef bint fits = a > -2147483649.0 and a < 2147483648.0
    if fits:
        whole = <i32>a
    truncated(h, ip, left, a, fits, <u64><i64>whole, <double>whole)

cdef void op_fcvt_wu_d(HartState* h, Op* ip, i64 left) noexcept nogil:
    cdef double a = double_of(h.x[ip.rs1])
    cdef i64 whole = 0
    cdef bint fits = a > -1.0 and a < 4294967296.0
    if fits:
        whole = <i64>a
    truncated(h, ip, left, a, fits, <u64><i64><i32>whole, <double>whole)

cdef void op_fcvt_l_d(HartState* h, Op* ip, i64 left) noexcept nogil:
    cdef double a = double_of(h.x[ip.rs1])
    cdef i64 whole = 0
    cdef bint fits = a >= -9223372036854775808.0 and a < 9223372036854775808.0
    if fits:
        whole = <i64>a
    truncated(h, ip, left, a, fits, <u64>whole, <double>whole)

cdef void op_fcvt_lu_d(HartState* h, Op* ip, i64 left) noexcept nogil:
    cdef double a = double_of(h.x[ip.rs1])
    cdef i64 whole = 0
    cdef bint fits = a > -1.0 and a < 9223372036854775808.0
    if fits:
        whole = <i64>a
    truncated(h, ip, left, a, fits, <u64>whole, <double>whole)

cdef void op_fcvt_w_s(HartState* h, Op* ip, i64 left) noexcept nogil:
    cdef double a = <double>float_of(h.x[ip.rs1])
    cdef i32 whole = 0
    cdef bint fits = boxed(h.x[ip.rs1]) and a > -2147483649.0 and a < 2147483648.0
    if fits:
        whole = <i32>a
    truncated(h, ip, left, a, fits, <u64><i64>whole, <double>whole)

cdef void op_fcvt_wu_s(HartState* h, Op* ip, i64 left) noexcept nogil:
    cdef double a = <double>float_of(h.x[ip.rs1])
    cdef i64 whole = 0
    cdef bint fits = boxed(h.x[ip.rs1]) and a > -1.0 and a < 4294967296.0
    if fits:
        whole = <i64>a
    truncated(h, ip, left, a, fits, <u64><i64><i32>whole, <double>whole)

cdef void op_fcvt_l_s(HartState* h, Op* ip, i64 left) noexcept nogil:
    cdef double a = <double>float_of(h.x[ip.rs1])
    cdef i64 whole = 0
    cdef bint fits = boxed(h.x[ip.rs1]) and a >= -9223372036854775808.0 and a < 9223372036854775808.0
    if fits:
        whole = <i64>a
    truncated(h, ip, left, a, fits, <u64>whole, <double>whole)

cdef void op_fcvt_lu_s(HartState* h, Op* ip, i64 left) noexcept nogil:
    cdef double a = <double>float_of(h.x[ip.rs1])
    cdef i64 whole = 0
    cdef bint fits = boxed(h.x[ip.rs1]) and a > -1.0 and a < 9223372036854775808.0
    if fits:
        whole = <i64>a
    truncated(h, ip, left, a, fits, <u64>whole, <double>whole)

cdef void op_fcvt_d_w(HartState* h, Op* ip, i64 left) noexcept nogil:
    if likely(h.float_ready):
        h.x[ip.rd] = double_bits(<double><i64><i32>h.x[ip.rs1])
        advance(h, ip, left)
    else:
        op_float(h, ip, left)

cdef void op_fcvt_s_w(HartState* h, Op* ip, i64 left) noexcept nogil:
    finish_single(h, ip, left, EVERY_BIT, <float><i64><i32>h.x[ip.rs1], OF_SUM)

cdef void op_fcvt_d_wu(HartState* h, Op* ip, i64 left) noexcept nogil:
    if likely(h.float_ready):
        h.x[ip.rd] = double_bits(<double><i64><u32>h.x[ip.rs1])
        advance(h, ip, left)
    else:
        op_float(h, ip, left)

cdef void op_fcvt_s_wu(HartState* h, Op* ip, i64 left) noexcept nogil:
    finish_single(h, ip, left, EVERY_BIT, <float><i64><u32>h.x[ip.rs1], OF_SUM)

cdef void op_fcvt_d_l(HartState* h, Op* ip, i64 left) noexcept nogil:
    finish_double(h, ip, left, <double><i64>h.x[ip.rs1], OF_SUM)

cdef void op_fcvt_s_l(HartState* h, Op* ip, i64 left) noexcept nogil:
    finish_single(h, ip, left, EVERY_BIT, <float><i64>h.x[ip.rs1], OF_SUM)

cdef void op_fcvt_s_d(HartState* h, Op* ip, i64 left) noexcept nogil:
    finish_single(h, ip, left, EVERY_BIT, <float>double_of(h.x[ip.rs1]), OF_PRODUCT)

cdef void op_fcvt_d_s(HartState* h, Op* ip, i64 left) noexcept nogil:
    cdef float a = float_of(h.x[ip.rs1])
    if likely(h.float_ready and boxed(h.x[ip.rs1]) and a == a):
        h.x[ip.rd] = double_bits(<double>a)
        advance(h, ip, left)
    else:
        op_float(h, ip, left)

cdef void op_fmv_x_d(HartState* h, Op* ip, i64 left) noexcept nogil:
    if likely(h.float_on):
        h.x[ip.rd] = h.x[ip.rs1]
        advance(h, ip, left)
    else:
        op_float(h, ip, left)

cdef void op_fmv_x_w(HartState* h, Op* ip, i64 left) noexcept nogil:
    if likely(h.float_on):
        h.x[ip.rd] = <u64><i64><i32>h.x[ip.rs1]
        advance(h, ip, left)
    else:
        op_float(h, ip, left)

cdef void op_fmv_d_x(HartState* h, Op* ip, i64 left) noexcept nogil:
    if likely(h.float_ready):
        h.x[ip.rd] = h.x[ip.rs1]
        advance(h, ip, left)
    else:
        op_float(h, ip, left)

cdef void op_fmv_w_x(HartState* h, Op* ip, i64 left) noexcept nogil:
    if likely(h.float_ready):
        h.x[ip.rd] = <u32>h.x[ip.rs1] | EVERY_BIT << 32
        advance(h, ip, left)
    else:
        op_float(h, ip, left)
