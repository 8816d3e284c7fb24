/* Which pages S-mode may load from, store to and fetch from, for each setting of SUM and MXR (privileged
   manual, sstatus: memory privilege). The table printed is what the hart did; it is compared with the rule. */
#include "tiny.h"

#define BASE 0x40000000ul

static const struct {
    const char *name;
    u64 bits;
} pages[] = {
    {"r--", PTE_R},           {"rw-", PTE_R | PTE_W},           {"--x", PTE_X},
    {"r-x", PTE_R | PTE_X},   {"rwx", PTE_R | PTE_W | PTE_X},   {"r-- user", PTE_U | PTE_R},
    {"rw- user", PTE_U | PTE_R | PTE_W}, {"--x user", PTE_U | PTE_X}, {"rwx user", PTE_U | PTE_R | PTE_W | PTE_X},
};

static _Alignas(PAGE_SIZE) u32 frame[1024];

static bool can_load(u64 gva) { return !TRAPS("ld t0, (%0)" ::"r"(gva) : "t0", "memory"); }
static bool can_store(u64 gva) { return !TRAPS("sd zero, 8(%0)" ::"r"(gva) : "memory"); }
static bool can_fetch(u64 gva) { return !TRAPS("jalr %0" ::"r"(gva) : "ra", "memory"); }

void main(void)
{
    catch_traps();
    frame[0] = 0x00008067; /* ret */
    fence_i();
    pte_t *root = new_root();
    for (u64 i = 0; i < LENGTH(pages); i++)
        map_page(root, BASE + i * PAGE_SIZE, (u64)frame, pages[i].bits, 0);
    use_root(root);

    u64 wrong = 0;
    printf("%-9s %-5s %-5s %-5s %-5s\n", "page", "", "SUM", "MXR", "both");
    for (u64 i = 0; i < LENGTH(pages); i++) {
        u64 gva = BASE + i * PAGE_SIZE, bits = pages[i].bits;
        printf("%-9s", pages[i].name);
        for (u64 setting = 0; setting < 4; setting++) {
            u64 sum = setting & 1, mxr = setting >> 1;
            csr_clear(sstatus, SSTATUS_SUM | SSTATUS_MXR);
            csr_set(sstatus, (sum ? SSTATUS_SUM : 0) | (mxr ? SSTATUS_MXR : 0));
            bool load = can_load(gva), store = can_store(gva);
            sfence_page(gva); /* QEMU 7.2 would fetch by what a load under SUM has left in its TLB */
            bool fetch = can_fetch(gva);
            csr_clear(sstatus, SSTATUS_SUM | SSTATUS_MXR);

            bool is_open = !(bits & PTE_U) || sum;
            wrong += load != (is_open && ((bits & PTE_R) || (mxr && (bits & PTE_X))));
            wrong += store != (is_open && (bits & PTE_W));
            wrong += fetch != (!(bits & PTE_U) && (bits & PTE_X)); /* whatever SUM is */
            printf(" %c%c%c  ", load ? 'r' : '-', store ? 'w' : '-', fetch ? 'x' : '-');
        }
        printf("\n");
    }
    printf("sum-mxr: %lu wrong\n", wrong);
}
