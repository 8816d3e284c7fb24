/* A guest that does little but change its page tables: four roots, sixteen pages in each, and at each turn one
   of them is mapped to another frame, made read-only, or unmapped. What the hart then does is compared with what
   the entry says. Each change is fenced. `count=N` sets the number of turns. */
#include "fdt.h"
#include "tiny.h"

enum { ROOTS = 4, PAGES = 16, FRAMES = 8, TURNS = 4000 };
#define BASE 0x40000000ul

static _Alignas(PAGE_SIZE) volatile u64 frames[FRAMES][512];
static struct board board;

void main(u64 hart, const void *fdt)
{
    (void)hart;
    const char *count = fdt_read(fdt, &board) ? board_option(&board, "count") : NULL;
    u64 turns = count ? parse_number(count) : TURNS;
    pte_t *roots[ROOTS];
    catch_traps();
    for (u64 i = 0; i < ROOTS; i++)
        roots[i] = new_root();
    for (u64 i = 0; i < FRAMES; i++)
        frames[i][0] = i;

    u64 random = 1, wrong = 0, faults = 0, sum = 0;
    for (u64 turn = 0; turn < turns; turn++) {
        random = random * 6364136223846793005 + 1442695040888963407;
        u64 choice = random >> 33, frame = choice % FRAMES, kind = choice >> 8 & 3;
        pte_t *root = roots[choice >> 12 & (ROOTS - 1)];
        u64 gva = BASE + (choice >> 16 & (PAGES - 1)) * PAGE_SIZE;
        pte_t *pte = find_pte(root, gva);
        use_root(root);
        u64 bits = kind == 0 ? 0 : PTE_V | PTE_A | PTE_D | PTE_R | (kind == 1 ? 0 : PTE_W);
        *pte = bits ? pte_of((u64)frames[frame], bits) : 0;
        sfence_page(gva);

        u64 value = ~0ul;
        bool has_faulted = TRAPS("ld %0, (%1)" : "+r"(value) : "r"(gva) : "memory");
        wrong += bits ? has_faulted || value != frames[frame][0] : !has_faulted;
        faults += has_faulted;
        has_faulted = TRAPS("sd %0, (%1)" ::"r"(frames[frame][0] + FRAMES), "r"(gva) : "memory");
        wrong += has_faulted == ((bits & PTE_W) != 0);
        wrong += !has_faulted && frames[frame][0] % FRAMES != frame;
        faults += has_faulted;
        sum = sum * 31 + frames[frame][0];
    }
    use_root(NULL);
    printf("churn: %lu changes, %lu faults, checksum %016lx, %lu wrong\n", turns, faults, sum, wrong);
}
