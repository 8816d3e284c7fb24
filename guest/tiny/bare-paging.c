/* Sv39 on and off, a hundred times. While it is on, a second address leads to the same page; while it is
   off, addresses are physical again. */
#include "tiny.h"

enum { ROUNDS = 100 };
#define ALIAS 0x40000000ul

static _Alignas(PAGE_SIZE) u64 page[512];

void main(void)
{
    pte_t *root = new_root();
    map_page(root, ALIAS, (u64)page, PTE_R | PTE_W, 0);
    volatile u64 *alias = (volatile u64 *)ALIAS, *plain = page;
    u64 wrong = 0;
    for (u64 i = 0; i < ROUNDS; i++) {
        plain[i] = i;
        use_root(root);
        wrong += alias[i] != i;
        alias[i] = i * i;
        use_root(NULL);
        wrong += plain[i] != i * i;
    }
    printf("bare-paging: %d times on and off, %lu wrong\n", ROUNDS, wrong);
}
