/* Address spaces: Sv39 page tables (privileged manual, page-based 39-bit virtual-memory system).

    63           39 38     30 29     21 20     12 11          0
   | copies of 38  |  root   |  middle |  leaf   |  byte in page |

   Entry 0 of every root is the process's own memory. The entries for RAM are the same in all roots:
   the kernel sees memory at its physical addresses (and programs do not: no U bit), so traps need no
   other page table. The hardware may or may not set the A and D bits itself; we set them beforehand. */
#include "kernel.h"

extern char text_start[], rodata_start[], data_start[], image_end[];

#define PTE_COW PTE_RSW /* read-only because shared, to be copied at the first store */

static pte_t *kernel_root;
static u64 root_entries; /* how many of its entries are in use */
static const pte_t *active_root;

static void set_pte(pte_t *pte, pte_t value)
{
    *pte = value;
    stats.pte_writes++;
}

/* Page tables that were given back. All their entries were cleared one by one, so they are zero but for
   the link, and a new process needs no clearing of whole pages. */
static pte_t *spare_tables;

static pte_t *table_alloc(void)
{
    pte_t *table = spare_tables;
    if (table == NULL)
        return frame_alloc_zeroed();
    spare_tables = (pte_t *)table[0];
    table[0] = 0;
    return table;
}

static void table_release(pte_t *table)
{
    table[0] = (u64)spare_tables;
    spare_tables = table;
}

/* Forget what the hart remembers about one page, if it can see the space at all: a space that is not
   active has its fence when space_switch makes it so. */
static void fence_page(const struct space *space, u64 va)
{
    if (space->root != active_root)
        return;
    sfence_page(va);
    stats.fences++;
}

static void fence_space(const struct space *space)
{
    if (space->root != active_root)
        return;
    sfence_all();
    stats.fences++;
}

/* The entry of `level` for `va`, NULL if a table on the way is missing and may not be added. */
static pte_t *walk(pte_t *table, u64 va, int level, bool may_add)
{
    for (int at = 2; at > level; at--) {
        pte_t *pte = &table[pte_index(va, at)];
        if (!(*pte & PTE_V)) {
            pte_t *next = may_add ? table_alloc() : NULL;
            if (next == NULL)
                return NULL;
            set_pte(pte, pte_of((u64)next, PTE_V));
        }
        table = (pte_t *)pte_address(*pte);
    }
    return &table[pte_index(va, level)];
}

static void kernel_range(u64 start, u64 end, u64 bits)
{
    for (u64 pa = start; pa < end;) {
        int level = pa % MEGAPAGE_SIZE == 0 && end - pa >= MEGAPAGE_SIZE ? 1 : 0;
        pte_t *pte = walk(kernel_root, pa, level, true);
        if (pte == NULL)
            panic("no memory for the kernel's page tables");
        set_pte(pte, pte_of(pa, bits | PTE_V | PTE_G | PTE_A | PTE_D));
        pa += level ? MEGAPAGE_SIZE : PAGE_SIZE;
    }
}

/* Map the kernel and all memory after it; what lies before is firmware's, and stays out. */
void kernel_map(u64 memory_end)
{
    kernel_root = table_alloc();
    kernel_range((u64)text_start, (u64)rodata_start, PTE_R | PTE_X);
    kernel_range((u64)rodata_start, (u64)data_start, PTE_R);
    kernel_range((u64)data_start, memory_end & ~(PAGE_SIZE - 1), PTE_R | PTE_W);
    root_entries = pte_index(memory_end - 1, 2) + 1;
    space_switch(NULL);
}

void space_switch(const struct space *space)
{
    const pte_t *root = space ? space->root : kernel_root;
    if (root == active_root)
        return;
    active_root = root;
    csr_write(satp, SATP_SV39 | (u64)root >> 12);
    sfence_all(); /* all spaces share ASID 0 */
    stats.fences++;
    stats.address_switches++;
}

bool space_create(struct space *space)
{
    memset(space, 0, sizeof *space);
    space->root = table_alloc();
    if (space->root == NULL)
        return false;
    for (u64 i = pte_index(USER_TOP, 2); i < root_entries; i++)
        if (kernel_root[i])
            set_pte(&space->root[i], kernel_root[i]);
    return true;
}

static u64 leaf_bits(u32 prot)
{
    return PTE_V | PTE_U | PTE_A | (prot & PROT_READ ? PTE_R : 0) | (prot & PROT_EXEC ? PTE_X : 0) |
           (prot & PROT_WRITE ? PTE_R | PTE_W | PTE_D : 0);
}

/* Give the child every page the parent has. Writable ones become copy-on-write on both sides. */
bool space_fork(const struct space *parent, struct space *child)
{
    if (!space_create(child))
        return false;
    memcpy(child->regions, parent->regions, sizeof child->regions);
    bool has_all = true;
    for (int i = 0; i < REGION_MAX && has_all; i++) {
        const struct region *region = &parent->regions[i];
        for (u64 va = region->start; va < region->end && has_all; va += PAGE_SIZE) {
            pte_t *pte = walk(parent->root, va, 0, false);
            if (pte == NULL || !(*pte & PTE_V))
                continue;
            if (*pte & PTE_W)
                set_pte(pte, (*pte & ~(pte_t)(PTE_W | PTE_D)) | PTE_COW);
            pte_t *copy = walk(child->root, va, 0, true);
            has_all = copy != NULL;
            if (has_all) {
                set_pte(copy, *pte);
                frame_share(pte_address(*pte));
            }
        }
    }
    fence_space(parent); /* its writable entries may still be cached */
    if (!has_all)
        space_destroy(child);
    return has_all;
}

void space_unmap(struct space *space, u64 start, u64 end)
{
    for (u64 va = start; va < end; va += PAGE_SIZE) {
        pte_t *pte = walk(space->root, va, 0, false);
        if (pte == NULL || !(*pte & PTE_V))
            continue;
        u64 pa = pte_address(*pte);
        set_pte(pte, 0);
        fence_page(space, va); /* before the frame can serve another */
        frame_release(pa);
    }
}

/* Change the permissions of the pages that are present. */
void space_protect(struct space *space, u64 start, u64 end, u32 prot)
{
    for (u64 va = start; va < end; va += PAGE_SIZE) {
        pte_t *pte = walk(space->root, va, 0, false);
        if (pte == NULL || !(*pte & PTE_V))
            continue;
        u64 bits = leaf_bits(prot);
        if ((bits & PTE_W) && frame_is_shared(pte_address(*pte)))
            bits = (bits & ~(u64)(PTE_W | PTE_D)) | PTE_COW;
        set_pte(pte, pte_of(pte_address(*pte), bits));
        fence_page(space, va);
    }
    if (prot & PROT_EXEC)
        fence_i(); /* what was data may be fetched now */
}

/* Give back the table that `pte` (of `level` + 1) points to and all below it; the pages are gone already. */
static void free_tables(pte_t *pte, int level)
{
    pte_t *table = (pte_t *)pte_address(*pte);
    for (int i = 0; i < 512 && level > 0; i++)
        if (table[i] & PTE_V)
            free_tables(&table[i], level - 1);
    set_pte(pte, 0);
    table_release(table);
}

void space_destroy(struct space *space)
{
    if (active_root == space->root)
        space_switch(NULL); /* and so the unmapping needs no fences */
    for (int i = 0; i < REGION_MAX; i++)
        space_unmap(space, space->regions[i].start, space->regions[i].end);
    if (space->root[0] & PTE_V)
        free_tables(&space->root[0], 1);
    for (u64 i = pte_index(USER_TOP, 2); i < root_entries; i++)
        if (space->root[i])
            set_pte(&space->root[i], 0);
    table_release(space->root);
    space->root = NULL;
}

/* A store to a copy-on-write page: copy it, or take it if nobody else is left. */
static bool break_cow(struct space *space, u64 va, pte_t *pte)
{
    u64 pa = pte_address(*pte);
    u64 bits = (*pte & 0x3ff & ~(pte_t)PTE_COW) | PTE_W | PTE_D;
    if (frame_is_shared(pa)) {
        void *copy = frame_alloc();
        if (copy == NULL)
            return false;
        memcpy(copy, (const void *)pa, PAGE_SIZE);
        set_pte(pte, pte_of((u64)copy, bits));
        fence_page(space, va);
        frame_release(pa);
        stats.cow_copies++;
    } else {
        set_pte(pte, pte_of(pa, bits));
        fence_page(space, va);
        stats.cow_reuses++;
    }
    return true;
}

/* The first touch of a page: zeroes, or what the program's file has there. */
static bool fill_page(struct space *space, const struct region *region, u64 va)
{
    pte_t *pte = walk(space->root, va, 0, true);
    u64 offset = va - region->start;
    bool is_whole = region->size >= offset + PAGE_SIZE; /* the file fills it */
    u8 *page = pte == NULL ? NULL : is_whole ? frame_alloc() : frame_alloc_zeroed();
    if (page == NULL)
        return false;
    if (offset < region->size) {
        u64 length = region->size - offset;
        memcpy(page, region->data + offset, length < PAGE_SIZE ? length : PAGE_SIZE);
        stats.loads++;
    } else {
        stats.zero_fills++;
    }
    if (region->prot & PROT_EXEC)
        fence_i();
    set_pte(pte, pte_of((u64)page, leaf_bits(region->prot)));
    fence_page(space, va); /* a hart may have cached that there was nothing */
    return true;
}

/* Answer a page fault at `va`; false if the process had no right to go there (or memory is full). */
bool space_fault(struct space *space, u64 va, enum access access)
{
    const struct region *region = region_find(space, va);
    u32 needed = access == ACCESS_STORE ? PROT_WRITE : access == ACCESS_FETCH ? PROT_EXEC : PROT_READ;
    if (region == NULL || !(region->prot & needed))
        return false;
    va &= ~(PAGE_SIZE - 1);
    pte_t *pte = walk(space->root, va, 0, false);
    if (pte == NULL || !(*pte & PTE_V))
        return fill_page(space, region, va);
    if (access == ACCESS_STORE && (*pte & PTE_COW))
        return break_cow(space, va, pte);
    return false;
}

u32 space_pages(const struct space *space)
{
    u32 pages = 0;
    for (int i = 0; i < REGION_MAX && space->root; i++)
        for (u64 va = space->regions[i].start; va < space->regions[i].end; va += PAGE_SIZE) {
            const pte_t *pte = walk(space->root, va, 0, false);
            pages += pte && (*pte & PTE_V);
        }
    return pages;
}
