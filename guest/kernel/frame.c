/* Physical memory in frames of one page, each with a count of its users.

   Frames are handed out from the kernel's end upwards, and released ones first. The count array lies at
   the start of the free memory; the part of it above `fresh` is never read, so booting costs the same
   however large the memory is. */
#include "kernel.h"

static u64 base, fresh, limit; /* frames are [base, limit); those from `fresh` on were never used */
static u16 *references;        /* one count a frame, from base */

struct free_frame {
    struct free_frame *next;
};
static struct free_frame *free_list;

static u16 *count_of(u64 pa) { return &references[(pa - base) / PAGE_SIZE]; }

void frame_init(u64 start, u64 end)
{
    references = (u16 *)start;
    u64 counts = (end - start) / PAGE_SIZE * sizeof *references;
    base = fresh = (start + counts + PAGE_SIZE - 1) & ~(PAGE_SIZE - 1);
    limit = end & ~(PAGE_SIZE - 1);
    if (base >= limit)
        panic("too little memory");
}

void *frame_alloc(void)
{
    u64 pa = (u64)free_list;
    if (free_list) {
        free_list = free_list->next;
    } else if (fresh < limit) {
        pa = fresh;
        fresh += PAGE_SIZE;
    } else {
        return NULL;
    }
    *count_of(pa) = 1;
    stats.frames_in_use++;
    return (void *)pa;
}

void *frame_alloc_zeroed(void)
{
    void *frame = frame_alloc();
    return frame ? memset(frame, 0, PAGE_SIZE) : NULL;
}

void frame_share(u64 pa) { ++*count_of(pa); }

bool frame_is_shared(u64 pa) { return *count_of(pa) > 1; }

void frame_release(u64 pa)
{
    if (--*count_of(pa) > 0)
        return;
    struct free_frame *frame = (struct free_frame *)pa;
    frame->next = free_list;
    free_list = frame;
    stats.frames_in_use--;
}
