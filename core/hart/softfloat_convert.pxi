# Conversions, comparisons and the rest of the floating-point operations on data taken apart (softfloat.pxi).

cdef enum:                      # integer types of fcvt, by the number in its rs2 field
    WORD = 0
    WORD_UNSIGNED = 1
    LONG = 2
    LONG_UNSIGNED = 3


cdef u64 whole_part(Real* a, u64* rest) noexcept nogil:
    """The integer part of |a| < 2**64, and what is right of the point as a fraction of 2**64, jammed."""
    if a.kind != FINITE or a.exponent < -1:
        rest[0] = a.kind == FINITE
        return 0
    if a.exponent == -1:
        rest[0] = a.significand
        return 0
    rest[0] = a.significand << (a.exponent + 1) if a.exponent < 63 else 0
    return a.significand >> (63 - a.exponent)


cdef u64 to_integer(Real a, int kind, int rm, u32* raised) noexcept nogil:
    """Rounded and clipped to the integer type; out of range is invalid, and not also inexact ("F": "Domains of float-to-integer
    conversions").  32-bit results are sign-extended, the unsigned too."""
    cdef bint unsigned = kind & 1
    cdef u64 least, most                        # magnitudes of the type's bounds
    cdef u64 value, rest = 0
    if kind == WORD or kind == WORD_UNSIGNED:
        most = 0xFFFFFFFFu if unsigned else 0x7FFFFFFFu
    else:
        most = EVERY_BIT if unsigned else EVERY_BIT >> 1
    least = 0 if unsigned else most + 1
    if a.kind >= QUIET:
        a.negative = False
    if a.kind >= INFINITE or a.exponent > 63:
        raised[0] |= NV
        value = least if a.negative else most
    else:
        value = whole_part(&a, &rest)
        value += rounds_up(rm, a.negative, value & 1, rest)
        if value > (least if a.negative else most):
            raised[0] |= NV
            value = least if a.negative else most
        elif rest:
            raised[0] |= NX
    if a.negative:
        value = 0 - value
    return value if kind >= LONG else <u64><i64><i32>value


cdef u64 to_integer_modular(Real a, u32* raised) noexcept nogil:
    """fcvtmod.w.d: bits 31:0 of the number rounded towards zero, with the flags of fcvt.w.d ("Zfa")."""
    cdef u64 value = 0, rest = 0
    to_integer(a, WORD, RTZ, raised)
    if a.kind == FINITE and a.exponent < 64:
        value = whole_part(&a, &rest)
    elif a.kind == FINITE and a.exponent < 64 + 32:
        value = a.significand << (a.exponent - 63)
    return <u64><i64><i32>(0 - value if a.negative else value)


cdef u64 from_integer(u64 value, int kind, int fmt, int rm, u32* raised) noexcept nogil:
    cdef bint negative
    if kind == WORD:
        value = <u64><i64><i32>value
    elif kind == WORD_UNSIGNED:
        value = <u32>value
    negative = not kind & 1 and <i64>value < 0
    if negative:
        value = 0 - value
    if value == 0:
        return put_zero(False, fmt)
    return put_together(negative, 63 - leading_zeros(value), value << leading_zeros(value), fmt, rm, raised)


cdef u64 to_format(Real a, int fmt, int rm, u32* raised) noexcept nogil:
    if a.kind == SIGNALLING:
        return put_invalid(fmt, raised)
    if a.kind == QUIET:
        return nan_of(fmt)
    if a.kind == INFINITE:
        return put_infinity(a.negative, fmt)
    if a.kind == ZERO:
        return put_zero(a.negative, fmt)
    return put_together(a.negative, a.exponent, a.significand, fmt, rm, raised)


cdef u64 to_integral(u64 bits, int fmt, int rm, bint tell, u32* raised) noexcept nogil:
    """fround, and froundnx, which tells that it was inexact ("Zfa": "Round-to-Integer Instructions")."""
    cdef Real a = take_apart(bits, fmt)
    cdef u64 value, rest = 0
    cdef u32 none = 0
    if a.kind >= QUIET:
        return to_format(a, fmt, rm, raised)
    if a.kind != FINITE or a.exponent >= fraction_bits(fmt):
        return bits
    value = whole_part(&a, &rest)
    value += rounds_up(rm, a.negative, value & 1, rest)
    if rest and tell:
        raised[0] |= NX
    return from_integer(value, LONG_UNSIGNED, fmt, rm, &none) | sign_of(a.negative, fmt)


# ---------------------------------------------------------------- comparing

cdef inline bint is_nan(u64 bits, int fmt) noexcept nogil:
    return bits & (sign_of(True, fmt) - 1) > infinity_of(fmt)

cdef inline bint is_signalling(u64 bits, int fmt) noexcept nogil:
    return is_nan(bits, fmt) and not bits >> (fraction_bits(fmt) - 1) & 1

cdef inline i64 rank(u64 bits, int fmt) noexcept nogil:
    """Numbers in the order of their values; both zeros have rank 0."""
    cdef i64 magnitude = <i64>(bits & (sign_of(True, fmt) - 1))
    return -magnitude if bits >> sign_place(fmt) & 1 else magnitude


cdef enum:                      # comparisons
    EQUAL = 0
    LESS = 1
    LESS_OR_EQUAL = 2

cdef u64 compare(u64 a, u64 b, int fmt, int how, bint quiet, u32* raised) noexcept nogil:
    """0 where an operand is a NaN; that is invalid if it signals, or if the comparison is not a quiet one."""
    if is_nan(a, fmt) or is_nan(b, fmt):
        if not quiet or is_signalling(a, fmt) or is_signalling(b, fmt):
            raised[0] |= NV
        return 0
    if how == EQUAL:
        return rank(a, fmt) == rank(b, fmt)
    if how == LESS:
        return rank(a, fmt) < rank(b, fmt)
    return rank(a, fmt) <= rank(b, fmt)


cdef u64 extreme(u64 a, u64 b, int fmt, bint greatest, bint keep_nan, u32* raised) noexcept nogil:
    """fmin and fmax: minimumNumber and maximumNumber of IEEE 754-2019, -0 below +0; fminm and fmaxm keep a NaN."""
    cdef i64 difference
    if is_signalling(a, fmt) or is_signalling(b, fmt):
        raised[0] |= NV
    if is_nan(a, fmt) or is_nan(b, fmt):
        if keep_nan or (is_nan(a, fmt) and is_nan(b, fmt)):
            return nan_of(fmt)
        return b if is_nan(a, fmt) else a
    if rank(a, fmt) == rank(b, fmt):
        return a & b if greatest else a | b     # zeros of two signs, or the same number
    return a if (rank(a, fmt) > rank(b, fmt)) == greatest else b


cdef u64 classify(u64 bits, int fmt) noexcept nogil:
    """fclass: one bit of ten ("F": "Format of result of FCLASS instruction")."""
    cdef Real a = take_apart(bits, fmt)
    cdef int place
    if a.kind >= QUIET:
        return 1 << 9 if a.kind == QUIET else 1 << 8
    if a.kind == INFINITE:
        place = 0
    elif a.kind == ZERO:
        place = 3
    else:
        place = 1 if a.exponent >= 1 - bias_of(fmt) else 2
    return 1 << place if a.negative else 1 << (7 - place)
