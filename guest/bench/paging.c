/* Pages at random: `bench_pages` of 4 KiB, read and now and then written in S-mode under Sv39; with TWO_STAGE in
   VS-mode, under Sv39 and a G-stage of Sv39x4 that maps the pages one by one as well. */
#include "bench.h"

#ifdef TWO_STAGE
const char name[] = "two-stage";
#define MODE MODE_VS
#define G_BITS PTE_U
#else
const char name[] = "sv39";
#define MODE MODE_S
#endif
u64 expected = 0;

enum { ACCESSES = 1 << 20, BITS = PTE_V | PTE_R | PTE_W | PTE_A | PTE_D };
#define HGATP_SV39X4 (8ul << 60)
#define WINDOW (4 * GIGAPAGE_SIZE) /* where the pages appear */

static pte_t root[512] __attribute__((aligned(4096)));
static u8 *next_free;

static void *take(u64 size)
{
    u8 *taken = (u8 *)(((u64)next_free + size - 1) & ~(size - 1));
    next_free = taken + size;
    return taken;
}

static pte_t *zeroed_table(void) { return memset(take(PAGE_SIZE), 0, PAGE_SIZE); }

static void map(pte_t *table, u64 va, u64 pa, u64 bits)
{
    for (int level = 2; level > 0; level--) {
        u64 index = va >> (12 + 9 * level) & (level == 2 ? 2047 : 511); /* the root of Sv39x4 has 2,048 entries */
        if (!table[index])
            table[index] = pte_of((u64)zeroed_table(), PTE_V);
        table = (pte_t *)pte_address(table[index]);
    }
    table[pte_index(va, 0)] = pte_of(pa, bits);
}

static u64 value_of(u64 page) { return page * 0x9e3779b97f4a7c15ul >> 17; }

/* Where in its page a number lies: spread over the lines, which would otherwise all compete for the same few. */
static u64 offset_of(u64 page) { return page * 29 % 64 * 64; }

/* Every other page lies two pages on, and not behind its neighbour: nothing may profit from order. */
static u64 frame_of(u64 page, u64 n) { return page * 5 % n; }

void prepare(void)
{
    u64 n = bench_pages, seed = 3, sum = 0;
    u8 *pages;
    next_free = free_start;
    pages = take(PAGE_SIZE);
    next_free = pages + n * PAGE_SIZE;
    for (u64 page = 0; page < n; page++) {
        u8 *frame = pages + frame_of(page, n) * PAGE_SIZE;
        *(u64 *)(frame + offset_of(page)) = value_of(page);
        map(root, WINDOW + page * PAGE_SIZE, (u64)frame, BITS);
    }
    for (u64 address = 0; address < WINDOW; address += GIGAPAGE_SIZE) /* the rest as it is */
        root[address / GIGAPAGE_SIZE] = pte_of(address, BITS | PTE_X);
#ifdef TWO_STAGE
    pte_t *gstage = memset(take(4 * PAGE_SIZE), 0, 4 * PAGE_SIZE);
    u64 end = (u64)next_free + n / 256 * PAGE_SIZE + 64 * PAGE_SIZE;
    for (u64 gpa = 0x80000000; gpa < end; gpa += PAGE_SIZE)
        map(gstage, gpa, gpa, BITS | PTE_X | G_BITS);
    gstage[0] = pte_of(0, BITS | PTE_X | G_BITS);
    asm volatile("csrw 0x680, %0" ::"r"(HGATP_SV39X4 | (u64)gstage >> 12)); /* hgatp */
    asm volatile("csrw 0x280, %0" ::"r"(SATP_SV39 | (u64)root >> 12));      /* vsatp */
    asm volatile(".insn r 0x73, 0, 0x31, x0, x0, x0");                      /* hfence.gvma */
#else
    csr_write(satp, SATP_SV39 | (u64)root >> 12);
    sfence_all();
#endif
    for (int i = 0; i < ACCESSES; i++)
        sum += value_of(random_next(&seed) & (n - 1));
    expected = sum;
}

static u64 walk(void)
{
    u64 mask = bench_pages - 1, seed = 3, sum = 0;
    for (int i = 0; i < ACCESSES; i++) {
        u64 page = random_next(&seed) & mask;
        u64 *where = (u64 *)(WINDOW + page * PAGE_SIZE + offset_of(page));
        u64 value = *where;
        sum += value;
        if ((i & 15) == 0)
            *where = value;
    }
    return sum;
}

u64 work(void) { return call_below(walk, MODE); }
