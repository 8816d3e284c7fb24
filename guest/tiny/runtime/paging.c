#include "tiny.h"

static _Alignas(PAGE_SIZE) pte_t tables[24][512];
static u64 tables_used;

static pte_t *new_table(void)
{
    if (tables_used == LENGTH(tables)) {
        printf("out of page tables\n");
        sbi_poweroff();
    }
    return tables[tables_used++];
}

static pte_t *walk(pte_t *table, u64 gva, int level)
{
    for (int at = 2; at > level; at--) {
        pte_t *pte = &table[pte_index(gva, at)];
        if (!(*pte & PTE_V))
            *pte = pte_of((u64)new_table(), PTE_V);
        table = (pte_t *)pte_address(*pte);
    }
    return &table[pte_index(gva, level)];
}

void map_page(pte_t *root, u64 gva, u64 gpa, u64 bits, int level)
{
    *walk(root, gva, level) = pte_of(gpa, bits | PTE_V | PTE_A | PTE_D);
}

pte_t *find_pte(pte_t *root, u64 gva) { return walk(root, gva, 0); }

pte_t *new_root(void)
{
    pte_t *root = new_table();
    map_page(root, 0x80000000, 0x80000000, PTE_R | PTE_W | PTE_X, 2);
    return root;
}

void use_root(const pte_t *root)
{
    csr_write(satp, root ? SATP_SV39 | (u64)root >> 12 : 0);
    sfence_all();
}
