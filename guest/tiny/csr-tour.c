/* Every supervisor CSR: what firmware left in it, and which bits stay when all ones, then all zeroes, are
   written (WARL fields keep what they can). What the counters hold depends on time, so of them only
   whether they can be read is told, and that writing them is illegal. */
#include "tiny.h"

#define TOUR(csr)                                                                                                \
    do {                                                                                                         \
        caught.count = 0;                                                                                        \
        u64 first = csr_read(csr);                                                                               \
        csr_write(csr, ~0ul);                                                                                    \
        u64 ones = csr_read(csr);                                                                                \
        csr_write(csr, 0);                                                                                       \
        u64 zeroes = csr_read(csr);                                                                              \
        csr_write(csr, first);                                                                                   \
        u64 traps = caught.count;                                                                                \
        if (traps)                                                                                               \
            printf("%-10s illegal\n", #csr);                                                                     \
        else                                                                                                     \
            printf("%-10s first %016lx  ones %016lx  zeroes %016lx\n", #csr, first, ones, zeroes);               \
    } while (0)

#define COUNTER(csr)                                                                              \
    do {                                                                                          \
        bool can_read = !TRAPS("csrr t0, " #csr ::: "t0");                                        \
        bool can_write = !TRAPS("csrw " #csr ", zero");                                           \
        printf("%-10s %s, %s\n", #csr, can_read ? "can be read" : "cannot be read",               \
               can_write ? "can be written" : "cannot be written");                               \
    } while (0)

/* stvec holds our own trap vector, so it is written while nothing can trap. */
static void tour_stvec(void)
{
    u64 first = csr_read(stvec);
    csr_write(stvec, ~0ul);
    u64 ones = csr_read(stvec);
    csr_write(stvec, 0);
    u64 zeroes = csr_read(stvec);
    csr_write(stvec, first);
    printf("%-10s ones %016lx  zeroes %016lx\n", "stvec", ones, zeroes);
}

void main(void)
{
    printf("%-10s first %016lx\n", "stvec", csr_read(stvec));
    catch_traps();
    tour_stvec();
    TOUR(sstatus); /* sie is still 0, so setting SIE lets nothing in */
    TOUR(sie);
    TOUR(scounteren);
    TOUR(senvcfg);
    TOUR(sscratch);
    TOUR(sepc);
    TOUR(scause);
    TOUR(stval);
    TOUR(sip);
    TOUR(satp); /* all ones name no mode there is: the write is ignored */
    COUNTER(cycle);
    COUNTER(time);
    COUNTER(instret);
    COUNTER(hpmcounter3);
    COUNTER(hpmcounter31);
}
