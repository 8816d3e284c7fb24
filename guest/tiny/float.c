/* Floating point: which states of sstatus.FS trap and which become dirty, one division in every rounding mode, and a
   small orbit whose last bits tell whether all arithmetic was right. */
#include "tiny.h"

#define FS_SHIFT 13
#define FS (3ul << FS_SHIFT)

static const char *const states[] = {"off", "initial", "clean", "dirty"};
static const char *const modes[] = {"rne", "rtz", "rdn", "rup", "rmm"};

static void set_state(u64 state)
{
    csr_clear(sstatus, FS);
    csr_set(sstatus, state << FS_SHIFT);
}

static const char *state(void) { return states[(csr_read(sstatus) & FS) >> FS_SHIFT]; }

/* Each kind of instruction in each state: "trap", or what FS is afterwards. */
static void print_states(void)
{
    u64 place = 0;
    printf("%-8s %-8s %-8s %-8s %-8s\n", "FS", "fsd", "fadd.d", "fcsr=", "fcsr");
    for (u64 from = 0; from < LENGTH(states); from++) {
        const char *after[4];
        for (u64 i = 0; i < LENGTH(after); i++) {
            bool traps = false;
            set_state(from);
            switch (i) {
            case 0: traps = TRAPS("fsd f0, (%0)" ::"r"(&place) : "memory"); break;
            case 1: traps = TRAPS("fadd.d f0, f0, f0"); break;
            case 2: traps = TRAPS("csrw fcsr, zero"); break;
            case 3: traps = TRAPS("csrr t0, fcsr" ::: "t0"); break;
            }
            after[i] = traps ? "trap" : state();
        }
        printf("%-8s %-8s %-8s %-8s %-8s\n", states[from], after[0], after[1], after[2], after[3]);
    }
}

static __attribute__((noinline)) u64 divide(double a, double b, u64 mode, u64 *flags)
{
    u64 bits;
    asm volatile("csrw fcsr, %4\n fdiv.d f0, %2, %3\n fmv.x.d %0, f0\n csrr %1, fflags"
                 : "=r"(bits), "=r"(*flags)
                 : "f"(a), "f"(b), "r"(mode << 5)
                 : "f0");
    return bits;
}

/* A planet around a sun, by leapfrog; its energy and position keep every rounding ever made. */
static __attribute__((noinline)) u64 orbit(u64 steps)
{
    double x = 1, y = 0, u = 0, v = 0.9, root;
    float drift = 0;
    for (u64 i = 0; i < steps; i++) {
        x += u / 256;
        y += v / 256;
        double square = x * x + y * y;
        asm("fsqrt.d %0, %1" : "=f"(root) : "f"(square));
        u -= x / (square * root) / 256;
        v -= y / (square * root) / 256;
        drift += (float)(u * v);
    }
    union {
        double value;
        u64 bits;
    } a = {x}, b = {y}, c = {drift};
    return a.bits ^ b.bits << 1 ^ c.bits << 2;
}

void main(void)
{
    catch_traps();
    print_states();
    set_state(3);
    for (u64 mode = 0; mode < LENGTH(modes); mode++) {
        u64 flags = 0, up = divide(1, 3, mode, &flags), down = divide(-1, 3, mode, &flags);
        printf("%s  1/3 %016lx  -1/3 %016lx  flags %02lx\n", modes[mode], up, down, flags);
    }
    csr_write(fcsr, 0);
    printf("float: %016lx, flags %02lx\n", orbit(20000), csr_read(fflags));
}
