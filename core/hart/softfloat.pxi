# IEEE 754 arithmetic in integers: every result and every flag exact, in all five rounding modes, for binary16, 32 and 64
# (unprivileged manual, "F"; IEEE 754-2019 sections 3 to 5).  Tininess is found after rounding, and a NaN result is the canonical one.
#
# A number is taken apart, worked on with far more bits than its format has, and put together again by the one function that rounds.
# Bits that fall off on the way leave a 1 in the lowest bit that stays ("jamming"), which is all that rounding needs to know of them.

cdef extern from *:
    """
    static inline int hv_leading_zeros(hv_u64 value) { return __builtin_clzll(value); }
    static inline hv_u64 hv_high(hv_u128 value) { return (hv_u64)(value >> 64); }
    static inline hv_u64 hv_low(hv_u128 value) { return (hv_u64)value; }
    static inline hv_u64 hv_quotient(hv_u128 dividend, hv_u64 divisor) { return (hv_u64)(dividend / divisor); }
    """
    ctypedef unsigned long long u128 "hv_u128"
    int leading_zeros "hv_leading_zeros"(u64 value) noexcept nogil      # value is not 0
    u64 high "hv_high"(u128 value) noexcept nogil
    u64 low "hv_low"(u128 value) noexcept nogil
    u64 quotient_of "hv_quotient"(u128 dividend, u64 divisor) noexcept nogil    # Cython would narrow the dividend

cdef enum:                      # formats, by the number in an instruction's fmt field
    SINGLE = 0
    DOUBLE = 1
    HALF = 2

cdef enum:                      # rounding modes
    RNE = 0
    RTZ = 1
    RDN = 2
    RUP = 3
    RMM = 4
    DYN = 7

cdef enum:                      # accrued exception flags
    NX = 1
    UF = 2
    OF = 4
    DZ = 8
    NV = 16

cdef enum:                      # what a datum is
    ZERO = 0
    FINITE = 1
    INFINITE = 2
    QUIET = 3
    SIGNALLING = 4

cdef struct Real:               # FINITE: significand * 2**(exponent - 63), the significand's bit 63 set
    int kind
    bint negative
    i32 exponent
    u64 significand

cdef struct Wide:               # significand * 2**(exponent - 126), the significand's bit 126 set
    bint negative
    i32 exponent
    u128 significand


cdef inline int fraction_bits(int fmt) noexcept nogil:
    return 52 if fmt == DOUBLE else 23 if fmt == SINGLE else 10

cdef inline int bias_of(int fmt) noexcept nogil:
    return 1023 if fmt == DOUBLE else 127 if fmt == SINGLE else 15

cdef inline u64 infinity_of(int fmt) noexcept nogil:
    return <u64>(2 * bias_of(fmt) + 1) << fraction_bits(fmt)

cdef inline u64 nan_of(int fmt) noexcept nogil:
    """The canonical NaN: positive, quiet, no payload."""
    return infinity_of(fmt) | <u64>1 << (fraction_bits(fmt) - 1)

cdef inline int sign_place(int fmt) noexcept nogil:
    return 63 if fmt == DOUBLE else 31 if fmt == SINGLE else 15

cdef inline u64 sign_of(bint negative, int fmt) noexcept nogil:
    return <u64>(negative != 0) << sign_place(fmt)


cdef inline u64 unbox(u64 register, int fmt) noexcept nogil:
    """The operand in a register: one narrower than the register that is not NaN-boxed reads as the canonical NaN ("D", "NaN Boxing")."""
    if fmt == DOUBLE:
        return register
    if fmt == SINGLE:
        return register & 0xFFFFFFFFu if register >> 32 == 0xFFFFFFFFu else nan_of(SINGLE)
    return register & 0xFFFF if ~register >> 16 == 0 else nan_of(HALF)


cdef inline u64 box(u64 bits, int fmt) noexcept nogil:
    return bits if fmt == DOUBLE else bits | EVERY_BIT << (sign_place(fmt) + 1)


cdef Real take_apart(u64 bits, int fmt) noexcept nogil:
    cdef Real r
    cdef int width = fraction_bits(fmt)
    cdef u64 fraction = bits & ((<u64>1 << width) - 1)
    cdef i32 field = <i32>(bits >> width) & (2 * bias_of(fmt) + 1)
    r.negative = bits >> sign_place(fmt) & 1
    r.exponent = 0
    r.significand = 0
    if field == 2 * bias_of(fmt) + 1:
        r.kind = INFINITE if fraction == 0 else QUIET if fraction >> (width - 1) else SIGNALLING
    elif field:
        r.kind = FINITE
        r.exponent = field - bias_of(fmt)
        r.significand = (fraction | <u64>1 << width) << (63 - width)
    elif fraction:
        r.kind = FINITE
        r.significand = fraction << leading_zeros(fraction)
        r.exponent = 1 - bias_of(fmt) + (63 - width) - leading_zeros(fraction)
    else:
        r.kind = ZERO
    return r


# ---------------------------------------------------------------- rounding

cdef inline bint rounds_up(int rm, bint negative, bint odd, u64 rest) noexcept nogil:
    """Whether the magnitude grows when `rest`, a fraction of 2**64, is rounded off a number that is `odd` in its last place."""
    cdef u64 half = <u64>1 << 63
    if rm == RNE:
        return rest > half or (rest == half and odd)
    if rm == RMM:
        return rest >= half
    if rm == RDN:
        return negative and rest != 0
    if rm == RUP:
        return not negative and rest != 0
    return False


cdef inline u64 put_zero(bint negative, int fmt) noexcept nogil:
    return sign_of(negative, fmt)

cdef inline u64 put_infinity(bint negative, int fmt) noexcept nogil:
    return infinity_of(fmt) | sign_of(negative, fmt)

cdef inline u64 put_invalid(int fmt, u32* raised) noexcept nogil:
    raised[0] |= NV
    return nan_of(fmt)


cdef u64 put_together(bint negative, i32 exponent, u64 significand, int fmt, int rm, u32* raised) noexcept nogil:
    """The datum nearest to significand * 2**(exponent - 63) as `rm` says, bit 63 of the significand set, its bit 0 jammed."""
    cdef int width = fraction_bits(fmt), bias = bias_of(fmt)
    cdef int dropped = 63 - width               # bits below the last place of a normal number
    cdef bint small = exponent < 1 - bias, tiny = small
    cdef int lost = dropped + (1 - bias - exponent if small else 0)
    cdef u64 kept, rest, bits
    if exponent == -bias and (significand >> dropped) + 1 == <u64>1 << (width + 1) \
            and rounds_up(rm, negative, True, significand << (64 - dropped)):
        tiny = False                            # with unbounded exponent it would round up to the least normal number
    if lost < 64:
        kept = significand >> lost
        rest = significand << (64 - lost)
    else:
        kept = 0
        rest = significand if lost == 64 else 1
    kept += rounds_up(rm, negative, kept & 1, rest)
    # The hidden bit of a normal number counts one in the exponent field, and so does a carry out of the fraction.
    bits = kept if small else (<u64>(exponent + bias - 1) << width) + kept
    if bits >= infinity_of(fmt):
        raised[0] |= OF | NX
        if rm == RTZ or (rm == RDN and not negative) or (rm == RUP and negative):
            return (infinity_of(fmt) - 1) | sign_of(negative, fmt)
        return put_infinity(negative, fmt)
    if rest:
        raised[0] |= NX | UF if tiny else NX
    return bits | sign_of(negative, fmt)


cdef inline u128 jammed(u128 value, i32 shift) noexcept nogil:
    """value >> shift, with the last bit set if any bit fell off."""
    if shift == 0:
        return value
    if shift > 127:
        return value != 0
    return value >> shift | <u128>(value << (128 - shift) != 0)


cdef u64 put_wide(Wide* w, int fmt, int rm, u32* raised) noexcept nogil:
    """Round a sum or product that is not zero; its leading bit may lie anywhere, bit 126 counts 2**exponent."""
    cdef int zeros = leading_zeros(high(w.significand)) if high(w.significand) else 64 + leading_zeros(low(w.significand))
    cdef u128 aligned = w.significand << zeros
    return put_together(w.negative, w.exponent + 1 - zeros, high(aligned) | (low(aligned) != 0), fmt, rm, raised)


# ---------------------------------------------------------------- arithmetic

cdef inline Wide widened(Real* r) noexcept nogil:
    cdef Wide w
    w.negative = r.negative
    w.exponent = r.exponent
    w.significand = <u128>r.significand << 63
    return w


cdef Wide product_of(Real* a, Real* b) noexcept nogil:
    """Exact: significands have at most 53 bits, so that no bit of the product is lost when bit 126 is made its first."""
    cdef Wide w
    cdef bint carried
    w.significand = <u128>a.significand * b.significand
    carried = high(w.significand) >> 63
    w.significand = w.significand >> carried
    w.exponent = a.exponent + b.exponent + carried
    w.negative = a.negative != b.negative
    return w


cdef u64 add_wide(Wide* a, Wide* b, int fmt, int rm, u32* raised) noexcept nogil:
    """Where bits fall off the smaller number, it is too small for the difference to lose more than one leading bit."""
    cdef Wide* greater = a
    cdef Wide* smaller = b
    cdef Wide result
    cdef u128 shifted
    if b.exponent > a.exponent or (b.exponent == a.exponent and b.significand > a.significand):
        greater = b
        smaller = a
    shifted = jammed(smaller.significand, greater.exponent - smaller.exponent)
    result.negative = greater.negative
    result.exponent = greater.exponent
    if a.negative == b.negative:
        result.significand = greater.significand + shifted
    else:
        result.significand = greater.significand - shifted
        if result.significand == 0:
            return put_zero(rm == RDN, fmt)
    return put_wide(&result, fmt, rm, raised)


cdef u64 real_add(Real a, Real b, int fmt, int rm, u32* raised) noexcept nogil:
    cdef Wide x, y
    if a.kind >= QUIET or b.kind >= QUIET:
        if a.kind == SIGNALLING or b.kind == SIGNALLING:
            raised[0] |= NV
        return nan_of(fmt)
    if a.kind == INFINITE or b.kind == INFINITE:
        if a.kind == b.kind and a.negative != b.negative:
            return put_invalid(fmt, raised)
        return put_infinity(a.negative if a.kind == INFINITE else b.negative, fmt)
    if a.kind == ZERO and b.kind == ZERO:
        return put_zero(a.negative if a.negative == b.negative else rm == RDN, fmt)
    if a.kind == ZERO:
        return put_together(b.negative, b.exponent, b.significand, fmt, rm, raised)
    if b.kind == ZERO:
        return put_together(a.negative, a.exponent, a.significand, fmt, rm, raised)
    x = widened(&a)
    y = widened(&b)
    return add_wide(&x, &y, fmt, rm, raised)


cdef u64 real_multiply(Real a, Real b, int fmt, int rm, u32* raised) noexcept nogil:
    cdef Wide w
    if a.kind >= QUIET or b.kind >= QUIET:
        if a.kind == SIGNALLING or b.kind == SIGNALLING:
            raised[0] |= NV
        return nan_of(fmt)
    if a.kind == INFINITE or b.kind == INFINITE:
        if a.kind == ZERO or b.kind == ZERO:
            return put_invalid(fmt, raised)
        return put_infinity(a.negative != b.negative, fmt)
    if a.kind == ZERO or b.kind == ZERO:
        return put_zero(a.negative != b.negative, fmt)
    w = product_of(&a, &b)
    return put_wide(&w, fmt, rm, raised)


cdef u64 real_multiply_add(Real a, Real b, Real c, int fmt, int rm, u32* raised) noexcept nogil:
    """a * b + c, rounded once.  Infinity times zero is invalid even where c is a quiet NaN ("F": fused multiply-add)."""
    cdef bint negative = a.negative != b.negative
    cdef Wide product, addend
    if (a.kind == INFINITE and b.kind == ZERO) or (a.kind == ZERO and b.kind == INFINITE) \
            or a.kind == SIGNALLING or b.kind == SIGNALLING or c.kind == SIGNALLING:
        return put_invalid(fmt, raised)
    if a.kind == QUIET or b.kind == QUIET or c.kind == QUIET:
        return nan_of(fmt)
    if a.kind == INFINITE or b.kind == INFINITE:
        if c.kind == INFINITE and c.negative != negative:
            return put_invalid(fmt, raised)
        return put_infinity(negative, fmt)
    if c.kind == INFINITE:
        return put_infinity(c.negative, fmt)
    if a.kind == ZERO or b.kind == ZERO:
        if c.kind == ZERO:
            return put_zero(negative if negative == c.negative else rm == RDN, fmt)
        return put_together(c.negative, c.exponent, c.significand, fmt, rm, raised)
    product = product_of(&a, &b)
    if c.kind == ZERO:
        return put_wide(&product, fmt, rm, raised)
    addend = widened(&c)
    return add_wide(&product, &addend, fmt, rm, raised)


cdef u64 real_divide(Real a, Real b, int fmt, int rm, u32* raised) noexcept nogil:
    cdef bint negative = a.negative != b.negative
    cdef u128 dividend
    cdef u64 quotient, inexact
    cdef i32 exponent
    if a.kind >= QUIET or b.kind >= QUIET:
        if a.kind == SIGNALLING or b.kind == SIGNALLING:
            raised[0] |= NV
        return nan_of(fmt)
    if a.kind == b.kind and a.kind != FINITE:           # 0/0, infinity/infinity
        return put_invalid(fmt, raised)
    if a.kind == INFINITE:
        return put_infinity(negative, fmt)
    if a.kind == ZERO or b.kind == INFINITE:
        return put_zero(negative, fmt)
    if b.kind == ZERO:
        raised[0] |= DZ
        return put_infinity(negative, fmt)
    dividend = <u128>a.significand << 63
    quotient = quotient_of(dividend, b.significand)
    inexact = <u128>quotient * b.significand != dividend
    exponent = a.exponent - b.exponent
    if not quotient >> 63:
        quotient <<= 1
        exponent -= 1
    return put_together(negative, exponent, quotient | inexact, fmt, rm, raised)


cdef u64 real_square_root(Real a, int fmt, int rm, u32* raised) noexcept nogil:
    """Digit by digit: `root` is the greatest integer whose square does not exceed the radicand's leading part."""
    cdef u128 radicand, remainder = 0, trial
    cdef u64 root = 0
    cdef int i
    if a.kind == ZERO:
        return put_zero(a.negative, fmt)
    if a.kind == QUIET:
        return nan_of(fmt)
    if a.kind == SIGNALLING or a.negative:
        return put_invalid(fmt, raised)
    if a.kind == INFINITE:
        return put_infinity(False, fmt)
    # An even exponent halves; 63 (or 64) more bits make the root's first bit its bit 63.
    radicand = <u128>a.significand << (64 if a.exponent & 1 else 63)
    for i in range(64):
        remainder = remainder << 2 | radicand >> 126
        radicand = radicand << 2
        trial = <u128>root << 2 | 1
        root = root << 1
        if remainder >= trial:
            remainder = remainder - trial
            root |= 1
    return put_together(False, a.exponent >> 1, root | (remainder != 0), fmt, rm, raised)
