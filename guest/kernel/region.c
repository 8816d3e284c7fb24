/* Regions: which parts of its memory a process may touch, and how. Whether a page is there yet is the page
   table's business (vm.c); the two meet in space_fault. */
#include "kernel.h"

static u64 round_up(u64 bytes) { return (bytes + PAGE_SIZE - 1) & ~(PAGE_SIZE - 1); }

struct region *region_find(struct space *space, u64 va)
{
    for (int i = 0; i < REGION_MAX; i++)
        if (space->regions[i].start <= va && va < space->regions[i].end)
            return &space->regions[i];
    return NULL;
}

struct region *region_add(struct space *space, u64 start, u64 end, u32 prot)
{
    for (int i = REGION_FIRST_FREE; i < REGION_MAX; i++) {
        struct region *region = &space->regions[i];
        if (region->start != region->end)
            continue;
        if (prot & PROT_WRITE)
            prot |= PROT_READ; /* Sv39 has no write-only pages */
        *region = (struct region){.start = start, .end = end, .prot = prot};
        return region;
    }
    return NULL;
}

/* Make `va` the border of two regions if it lies within one. */
static bool split(struct space *space, u64 va)
{
    struct region *left = region_find(space, va);
    if (left == NULL || left->start == va)
        return true;
    struct region *right = region_add(space, va, left->end, left->prot);
    if (right == NULL)
        return false;
    left->end = va;
    return true;
}

/* Whether [start, start + bytes) is whole pages of region_map's, every one of them in some region. */
static bool is_mapped(struct space *space, u64 start, u64 bytes)
{
    if (start % PAGE_SIZE || start < USER_MAPS || start >= USER_MAPS_END || bytes == 0 ||
        bytes > USER_MAPS_END - start)
        return false;
    for (u64 va = start; va < start + bytes;) {
        const struct region *region = region_find(space, va);
        if (region == NULL)
            return false;
        va = region->end;
    }
    return split(space, start) && split(space, start + round_up(bytes));
}

i64 region_grow_heap(struct process *process, i64 bytes)
{
    struct region *heap = &process->space.regions[REGION_HEAP];
    u64 old = process->heap_end;
    u64 new = old + (u64)bytes;
    if (bytes > (i64)USER_HEAP_MAX || bytes < -(i64)USER_HEAP_MAX || new < heap->start || new > USER_HEAP_MAX)
        return -1;
    u64 end = round_up(new);
    if (end < heap->end)
        space_unmap(&process->space, end, heap->end);
    heap->end = end;
    process->heap_end = new;
    return (i64)old;
}

i64 region_map(struct space *space, u64 bytes, u32 prot)
{
    if (bytes == 0 || bytes > USER_MAPS_END - USER_MAPS || prot == 0)
        return -1;
    u64 size = round_up(bytes);
    u64 start = USER_MAPS; /* the first gap that is wide enough */
    for (int i = REGION_FIRST_FREE; i < REGION_MAX; i++) {
        const struct region *region = &space->regions[i];
        if (region->start < start + size && start < region->end) {
            start = region->end;
            i = REGION_FIRST_FREE - 1;
        }
    }
    if (start + size > USER_MAPS_END || region_add(space, start, start + size, prot) == NULL)
        return -1;
    return (i64)start;
}

i64 region_unmap(struct space *space, u64 start, u64 bytes)
{
    if (!is_mapped(space, start, bytes))
        return -1;
    u64 end = start + round_up(bytes);
    space_unmap(space, start, end);
    for (int i = REGION_FIRST_FREE; i < REGION_MAX; i++)
        if (start <= space->regions[i].start && space->regions[i].end <= end)
            space->regions[i] = (struct region){0};
    return 0;
}

i64 region_protect(struct space *space, u64 start, u64 bytes, u32 prot)
{
    if (prot == 0 || !is_mapped(space, start, bytes))
        return -1;
    if (prot & PROT_WRITE)
        prot |= PROT_READ;
    u64 end = start + round_up(bytes);
    for (int i = REGION_FIRST_FREE; i < REGION_MAX; i++)
        if (start <= space->regions[i].start && space->regions[i].end <= end)
            space->regions[i].prot = prot;
    space_protect(space, start, end, prot);
    return 0;
}
