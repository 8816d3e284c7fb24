# The floating-point unit's state: whether it may be used, when it becomes dirty, and when the host's arithmetic stands in for ours.
#
# float_on     FS is not off (with V=1, neither mstatus.FS nor vsstatus.FS)
# float_ready  and it is dirty already, so that nothing has to be marked; and the host computes as IEEE 754 says
# float_fast   and rounding is to nearest, ties to even, and inexact has accrued: so a host result can raise nothing new unless it is
#              infinite, a NaN or tiny, which a glance at its exponent shows

cdef extern from *:
    """
    #include <string.h>
    static inline double hv_double(hv_u64 bits) { double x; memcpy(&x, &bits, 8); return x; }
    static inline hv_u64 hv_double_bits(double x) { hv_u64 bits; memcpy(&bits, &x, 8); return bits; }
    static inline float hv_float(hv_u64 bits) { float x; hv_u32 low = (hv_u32)bits; memcpy(&x, &low, 4); return x; }
    static inline hv_u64 hv_float_bits(float x) { hv_u32 bits; memcpy(&bits, &x, 4); return bits | 0xFFFFFFFF00000000ULL; }

    /* Does this thread round to nearest even, and keep subnormal operands and results? Libraries built with -ffast-math change that
       for every thread that loads them. The operands are volatile so that the compiler cannot answer. */
    static int hv_host_is_ieee(void)
    {
        volatile double one = 1.0, odd = 1.0 + 0x1p-52, half_place = 0x1p-53, least_normal = 0x1p-1022, half = 0.5, least = 0x1p-1074;
        volatile double even_sum = one + half_place, odd_sum = odd + half_place;
        volatile double subnormal = least_normal * half, kept = least * one;
        return even_sum == one && odd_sum == 1.0 + 0x1p-51 && hv_double_bits(subnormal) == 1ULL << 51 && hv_double_bits(kept) == 1;
    }

    #if defined(__x86_64__)
    #define HV_FMA __attribute__((target("fma")))
    static int hv_host_fuses(void) { return __builtin_cpu_supports("fma"); }
    #else
    #define HV_FMA
    #ifdef __FP_FAST_FMA
    static int hv_host_fuses(void) { return 1; }
    #else
    static int hv_host_fuses(void) { return 0; }
    #endif
    #endif
    """
    double double_of "hv_double"(u64 bits) noexcept nogil
    u64 double_bits "hv_double_bits"(double x) noexcept nogil
    float float_of "hv_float"(u64 register) noexcept nogil
    u64 float_bits "hv_float_bits"(float x) noexcept nogil         # NaN-boxed
    bint host_is_ieee "hv_host_is_ieee"() noexcept nogil
    bint host_fuses "hv_host_fuses"() noexcept nogil
    ctypedef void FUSED "HV_FMA void"           # return type of handlers that use the host's fused multiply-add
    double root_double "__builtin_sqrt"(double a) noexcept nogil
    float root_float "__builtin_sqrtf"(float a) noexcept nogil
    bint unordered "__builtin_isunordered"(double a, double b) noexcept nogil
    const u64 SIGN_DOUBLE "0x8000000000000000ULL"
    const u64 SIGN_SINGLE "0x80000000ULL"
    double fma_double "__builtin_fma"(double a, double b, double c) noexcept nogil
    float fma_float "__builtin_fmaf"(float a, float b, float c) noexcept nogil


cdef void float_update(HartState* h) noexcept nogil:
    """Call after any change of FS, V, fcsr or the host's fitness."""
    cdef u64 status = h.csr[CSR_MSTATUS] & MSTATUS_FS
    cdef u64 both = status
    h.float_on = status != 0
    if h.virtual:
        both &= h.csr[CSR_VSSTATUS]
        h.float_on = h.float_on and h.csr[CSR_VSSTATUS] & MSTATUS_FS
    h.float_ready = both == MSTATUS_FS and h.host_float and h.host_fit
    h.float_fast = h.float_ready and h.csr[CSR_FRM] == RNE and h.csr[CSR_FFLAGS] & FFLAGS_NX


cdef inline u64 with_dirt(u64 status) noexcept nogil:
    """The status with SD as FS has it: the one state here that can be dirty ("Extension Context Status in mstatus Register")."""
    return status | MSTATUS_SD if status & MSTATUS_FS == MSTATUS_FS else status & ~<u64>MSTATUS_SD


cdef void float_dirty(HartState* h) noexcept nogil:
    """A floating-point register or fcsr was written; with V=1 both levels' FS tell (H: "Virtual Supervisor Status Register")."""
    h.csr[CSR_MSTATUS] |= MSTATUS_FS | MSTATUS_SD
    if h.virtual:
        h.csr[CSR_VSSTATUS] |= MSTATUS_FS | MSTATUS_SD
    float_update(h)


cdef inline bint is_float_csr(u32 number) noexcept nogil:
    return CSR_FFLAGS <= number <= CSR_FCSR


cdef inline u64 fcsr_read(HartState* h) noexcept nogil:
    return h.csr[CSR_FRM] << FCSR_FRM_SHIFT | h.csr[CSR_FFLAGS]


cdef void float_csr_write(HartState* h, u32 number, u64 value) noexcept nogil:
    """fflags, frm, or both as fcsr. frm takes the reserved values too: it is the instructions that then are illegal."""
    if number != CSR_FRM:
        h.csr[CSR_FFLAGS] = value & h.csr_mask[CSR_FFLAGS]
    if number != CSR_FFLAGS:
        h.csr[CSR_FRM] = (value >> FCSR_FRM_SHIFT if number == CSR_FCSR else value) & h.csr_mask[CSR_FRM]
    float_update(h)
