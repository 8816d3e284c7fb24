# The execute unit, bit manipulation: Zba, Zbb, Zbc, Zbs, Zicond and Zimop (unprivileged manual, "B", "Zicond", "Zimop").

cdef extern from *:
    """
    static inline hv_u64 hv_clz(hv_u64 value, int width) { return value ? (hv_u64)(__builtin_clzll(value) - (64 - width)) : (hv_u64)width; }
    static inline hv_u64 hv_ones(hv_u64 value) { return (hv_u64)__builtin_popcountll(value); }
    static inline hv_u64 hv_bswap(hv_u64 value) { return __builtin_bswap64(value); }
    static inline hv_u64 hv_ror(hv_u64 value, hv_u64 by) { return value >> (by & 63) | value << (-by & 63); }
    static inline hv_u64 hv_rorw(hv_u64 value, hv_u64 by) {
        hv_u32 word = (hv_u32)value;
        return (hv_u64)(hv_i64)(hv_i32)(word >> (by & 31) | word << (-by & 31));
    }
    /* Each byte that is not zero becomes 0xFF: adding 0x7F to the low seven bits carries into the eighth. */
    static inline hv_u64 hv_orc(hv_u64 value) {
        const hv_u64 low = 0x7F7F7F7F7F7F7F7FULL;
        return ((((value & low) + low) | value) >> 7 & 0x0101010101010101ULL) * 0xFF;
    }
    static HV_NOINLINE hv_u64 hv_clmul(hv_u64 a, hv_u64 b) {
        hv_u64 product = 0;
        for (; b; b >>= 1, a <<= 1) product ^= b & 1 ? a : 0;
        return product;
    }
    /* Bits 126 to 63 of the product. */
    static HV_NOINLINE hv_u64 hv_clmulr(hv_u64 a, hv_u64 b) {
        hv_u64 product = 0;
        for (; b; b <<= 1, a >>= 1) product ^= b >> 63 ? a : 0;
        return product;
    }
    """
    u64 leading_zeros "hv_clz"(u64 value, int width) noexcept nogil
    u64 ones "hv_ones"(u64 value) noexcept nogil
    u64 byte_swapped "hv_bswap"(u64 value) noexcept nogil
    u64 rotated_right "hv_ror"(u64 value, u64 by) noexcept nogil
    u64 rotated_right_word "hv_rorw"(u64 value, u64 by) noexcept nogil
    u64 or_combined "hv_orc"(u64 value) noexcept nogil
    u64 clmul "hv_clmul"(u64 a, u64 b) noexcept nogil
    u64 clmulr "hv_clmulr"(u64 a, u64 b) noexcept nogil


# ---------------------------------------------------------------- address generation ("Zba")

cdef void op_add_uw(HartState* h, Op* ip, i64 left) noexcept nogil:
    h.x[ip.rd] = h.x[ip.rs2] + <u32>h.x[ip.rs1]
    advance(h, ip, left)

cdef void op_sh1add(HartState* h, Op* ip, i64 left) noexcept nogil:
    h.x[ip.rd] = h.x[ip.rs2] + (h.x[ip.rs1] << 1)
    advance(h, ip, left)

cdef void op_sh2add(HartState* h, Op* ip, i64 left) noexcept nogil:
    h.x[ip.rd] = h.x[ip.rs2] + (h.x[ip.rs1] << 2)
    advance(h, ip, left)

cdef void op_sh3add(HartState* h, Op* ip, i64 left) noexcept nogil:
    h.x[ip.rd] = h.x[ip.rs2] + (h.x[ip.rs1] << 3)
    advance(h, ip, left)

cdef void op_sh1add_uw(HartState* h, Op* ip, i64 left) noexcept nogil:
    h.x[ip.rd] = h.x[ip.rs2] + (<u64><u32>h.x[ip.rs1] << 1)
    advance(h, ip, left)

cdef void op_sh2add_uw(HartState* h, Op* ip, i64 left) noexcept nogil:
    h.x[ip.rd] = h.x[ip.rs2] + (<u64><u32>h.x[ip.rs1] << 2)
    advance(h, ip, left)

cdef void op_sh3add_uw(HartState* h, Op* ip, i64 left) noexcept nogil:
    h.x[ip.rd] = h.x[ip.rs2] + (<u64><u32>h.x[ip.rs1] << 3)
    advance(h, ip, left)

cdef void op_slli_uw(HartState* h, Op* ip, i64 left) noexcept nogil:
    h.x[ip.rd] = <u64><u32>h.x[ip.rs1] << ip.imm
    advance(h, ip, left)

# ---------------------------------------------------------------- basic bit manipulation ("Zbb")

cdef void op_andn(HartState* h, Op* ip, i64 left) noexcept nogil:
    h.x[ip.rd] = h.x[ip.rs1] & ~h.x[ip.rs2]
    advance(h, ip, left)

cdef void op_orn(HartState* h, Op* ip, i64 left) noexcept nogil:
    h.x[ip.rd] = h.x[ip.rs1] | ~h.x[ip.rs2]
    advance(h, ip, left)

cdef void op_xnor(HartState* h, Op* ip, i64 left) noexcept nogil:
    h.x[ip.rd] = ~(h.x[ip.rs1] ^ h.x[ip.rs2])
    advance(h, ip, left)

cdef void op_clz(HartState* h, Op* ip, i64 left) noexcept nogil:
    h.x[ip.rd] = leading_zeros(h.x[ip.rs1], 64)
    advance(h, ip, left)

cdef void op_ctz(HartState* h, Op* ip, i64 left) noexcept nogil:
    h.x[ip.rd] = <u64>trailing_zeros(h.x[ip.rs1]) if h.x[ip.rs1] else 64
    advance(h, ip, left)

cdef void op_cpop(HartState* h, Op* ip, i64 left) noexcept nogil:
    h.x[ip.rd] = ones(h.x[ip.rs1])
    advance(h, ip, left)

cdef void op_clzw(HartState* h, Op* ip, i64 left) noexcept nogil:
    h.x[ip.rd] = leading_zeros(<u32>h.x[ip.rs1], 32)
    advance(h, ip, left)

cdef void op_ctzw(HartState* h, Op* ip, i64 left) noexcept nogil:
    h.x[ip.rd] = <u64>trailing_zeros(<u32>h.x[ip.rs1]) if <u32>h.x[ip.rs1] else 32
    advance(h, ip, left)

cdef void op_cpopw(HartState* h, Op* ip, i64 left) noexcept nogil:
    h.x[ip.rd] = ones(<u32>h.x[ip.rs1])
    advance(h, ip, left)

cdef void op_min(HartState* h, Op* ip, i64 left) noexcept nogil:
    h.x[ip.rd] = h.x[ip.rs1] if <i64>h.x[ip.rs1] < <i64>h.x[ip.rs2] else h.x[ip.rs2]
    advance(h, ip, left)

cdef void op_minu(HartState* h, Op* ip, i64 left) noexcept nogil:
    h.x[ip.rd] = h.x[ip.rs1] if h.x[ip.rs1] < h.x[ip.rs2] else h.x[ip.rs2]
    advance(h, ip, left)

cdef void op_max(HartState* h, Op* ip, i64 left) noexcept nogil:
    h.x[ip.rd] = h.x[ip.rs1] if <i64>h.x[ip.rs1] > <i64>h.x[ip.rs2] else h.x[ip.rs2]
    advance(h, ip, left)

cdef void op_maxu(HartState* h, Op* ip, i64 left) noexcept nogil:
    h.x[ip.rd] = h.x[ip.rs1] if h.x[ip.rs1] > h.x[ip.rs2] else h.x[ip.rs2]
    advance(h, ip, left)

cdef void op_sext_b(HartState* h, Op* ip, i64 left) noexcept nogil:
    h.x[ip.rd] = <u64><i64><i8>h.x[ip.rs1]
    advance(h, ip, left)

cdef void op_sext_h(HartState* h, Op* ip, i64 left) noexcept nogil:
    h.x[ip.rd] = <u64><i64><i16>h.x[ip.rs1]
    advance(h, ip, left)

cdef void op_zext_h(HartState* h, Op* ip, i64 left) noexcept nogil:
    h.x[ip.rd] = <u16>h.x[ip.rs1]
    advance(h, ip, left)

cdef void op_rol(HartState* h, Op* ip, i64 left) noexcept nogil:
    h.x[ip.rd] = rotated_right(h.x[ip.rs1], -h.x[ip.rs2])
    advance(h, ip, left)

cdef void op_ror(HartState* h, Op* ip, i64 left) noexcept nogil:
    h.x[ip.rd] = rotated_right(h.x[ip.rs1], h.x[ip.rs2])
    advance(h, ip, left)

cdef void op_rori(HartState* h, Op* ip, i64 left) noexcept nogil:
    h.x[ip.rd] = rotated_right(h.x[ip.rs1], <u64>ip.imm)
    advance(h, ip, left)

cdef void op_rolw(HartState* h, Op* ip, i64 left) noexcept nogil:
    h.x[ip.rd] = rotated_right_word(h.x[ip.rs1], -h.x[ip.rs2])
    advance(h, ip, left)

cdef void op_rorw(HartState* h, Op* ip, i64 left) noexcept nogil:
    h.x[ip.rd] = rotated_right_word(h.x[ip.rs1], h.x[ip.rs2])
    advance(h, ip, left)

cdef void op_roriw(HartState* h, Op* ip, i64 left) noexcept nogil:
    h.x[ip.rd] = rotated_right_word(h.x[ip.rs1], <u64>ip.imm)
    advance(h, ip, left)

cdef void op_orc_b(HartState* h, Op* ip, i64 left) noexcept nogil:
    h.x[ip.rd] = or_combined(h.x[ip.rs1])
    advance(h, ip, left)

cdef void op_rev8(HartState* h, Op* ip, i64 left) noexcept nogil:
    h.x[ip.rd] = byte_swapped(h.x[ip.rs1])
    advance(h, ip, left)

# ---------------------------------------------------------------- carry-less multiplication ("Zbc")

cdef void op_clmul(HartState* h, Op* ip, i64 left) noexcept nogil:
    h.x[ip.rd] = clmul(h.x[ip.rs1], h.x[ip.rs2])
    advance(h, ip, left)

cdef void op_clmulr(HartState* h, Op* ip, i64 left) noexcept nogil:
    h.x[ip.rd] = clmulr(h.x[ip.rs1], h.x[ip.rs2])
    advance(h, ip, left)

cdef void op_clmulh(HartState* h, Op* ip, i64 left) noexcept nogil:
    h.x[ip.rd] = clmulr(h.x[ip.rs1], h.x[ip.rs2]) >> 1
    advance(h, ip, left)

# ---------------------------------------------------------------- single bits ("Zbs")

cdef void op_bclr(HartState* h, Op* ip, i64 left) noexcept nogil:
    h.x[ip.rd] = h.x[ip.rs1] & ~(<u64>1 << (h.x[ip.rs2] & 63))
    advance(h, ip, left)

cdef void op_bext(HartState* h, Op* ip, i64 left) noexcept nogil:
    h.x[ip.rd] = h.x[ip.rs1] >> (h.x[ip.rs2] & 63) & 1
    advance(h, ip, left)

cdef void op_binv(HartState* h, Op* ip, i64 left) noexcept nogil:
    h.x[ip.rd] = h.x[ip.rs1] ^ (<u64>1 << (h.x[ip.rs2] & 63))
    advance(h, ip, left)

cdef void op_bset(HartState* h, Op* ip, i64 left) noexcept nogil:
    h.x[ip.rd] = h.x[ip.rs1] | (<u64>1 << (h.x[ip.rs2] & 63))
    advance(h, ip, left)

cdef void op_bclri(HartState* h, Op* ip, i64 left) noexcept nogil:
    h.x[ip.rd] = h.x[ip.rs1] & ~(<u64>1 << ip.imm)
    advance(h, ip, left)

cdef void op_bexti(HartState* h, Op* ip, i64 left) noexcept nogil:
    h.x[ip.rd] = h.x[ip.rs1] >> ip.imm & 1
    advance(h, ip, left)

cdef void op_binvi(HartState* h, Op* ip, i64 left) noexcept nogil:
    h.x[ip.rd] = h.x[ip.rs1] ^ (<u64>1 << ip.imm)
    advance(h, ip, left)

cdef void op_bseti(HartState* h, Op* ip, i64 left) noexcept nogil:
    h.x[ip.rd] = h.x[ip.rs1] | (<u64>1 << ip.imm)
    advance(h, ip, left)

# ---------------------------------------------------------------- conditional zero ("Zicond")

cdef void op_czero_eqz(HartState* h, Op* ip, i64 left) noexcept nogil:
    h.x[ip.rd] = h.x[ip.rs1] if h.x[ip.rs2] else 0
    advance(h, ip, left)

cdef void op_czero_nez(HartState* h, Op* ip, i64 left) noexcept nogil:
    h.x[ip.rd] = 0 if h.x[ip.rs2] else h.x[ip.rs1]
    advance(h, ip, left)

# ---------------------------------------------------------------- may-be-operations ("Zimop")

cdef void op_mop_r_0(HartState* h, Op* ip, i64 left) noexcept nogil:
    h.x[ip.rd] = 0
    advance(h, ip, left)
