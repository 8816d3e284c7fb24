/* Programs: ELF files in the ramdisk. Their segments become regions; pages are loaded when touched. */
#include "kernel.h"

struct elf_header {
    u8 magic[4], class, rest[11];
    u16 type, machine;
    u32 version;
    u64 entry, program_headers, section_headers;
    u32 flags;
    u16 header_size, program_header_size, program_header_count;
};
struct program_header {
    u32 type, flags;
    u64 offset, va, pa, file_size, memory_size, align;
};
enum { CLASS_64 = 2, TYPE_EXECUTABLE = 2, MACHINE_RISCV = 243, SEGMENT_LOAD = 1 };
enum { SEGMENT_X = 1, SEGMENT_W = 2, SEGMENT_R = 4 };

static bool add_segment(struct space *space, const u8 *file, const struct program_header *segment)
{
    u64 start = segment->va & ~(PAGE_SIZE - 1), lead = segment->va - start;
    u64 end = (segment->va + segment->memory_size + PAGE_SIZE - 1) & ~(PAGE_SIZE - 1);
    if (start < USER_PROGRAM || end < start || end > USER_HEAP_MAX || segment->offset < lead)
        return false;
    u32 prot = (segment->flags & SEGMENT_R ? PROT_READ : 0) | (segment->flags & SEGMENT_W ? PROT_WRITE : 0) |
               (segment->flags & SEGMENT_X ? PROT_EXEC : 0);
    struct region *region = region_add(space, start, end, prot);
    if (region == NULL)
        return false;
    region->data = file + segment->offset - lead;
    region->size = (u32)(segment->file_size + lead);
    struct region *heap = &space->regions[REGION_HEAP];
    if (end > heap->start)
        heap->start = heap->end = end;
    return true;
}

static bool load(struct space *space, const struct entry *entry)
{
    const u8 *file = ramdisk_data(entry);
    const struct elf_header *elf = (const struct elf_header *)file;
    if (entry->size < sizeof *elf || memcmp(elf->magic, "\177ELF", 4) || elf->class != CLASS_64 ||
        elf->type != TYPE_EXECUTABLE || elf->machine != MACHINE_RISCV)
        return false;
    space->regions[REGION_STACK] = (struct region){
        .start = USER_STACK_TOP - USER_STACK_SIZE, .end = USER_STACK_TOP, .prot = PROT_READ | PROT_WRITE};
    space->regions[REGION_HEAP].prot = PROT_READ | PROT_WRITE;
    const struct program_header *segments = (const struct program_header *)(file + elf->program_headers);
    for (int i = 0; i < elf->program_header_count; i++) {
        const struct program_header *segment = &segments[i];
        if (segment->type == SEGMENT_LOAD && segment->memory_size > 0 && !add_segment(space, file, segment))
            return false;
    }
    return true;
}

/* The arguments on the new stack: the texts at the top, the array of pointers to them below. */
static bool push_arguments(u32 count, const char *const arguments[], u64 *sp)
{
    u64 pointers[ARGUMENTS_MAX + 1] = {0};
    for (u32 i = 0; i < count; i++) {
        u64 length = strlen(arguments[i]) + 1;
        *sp -= length;
        pointers[i] = *sp;
        if (!copy_out(*sp, arguments[i], length))
            return false;
    }
    *sp = (*sp - (count + 1) * sizeof *pointers) & ~15ul; /* the ABI wants sp aligned to 16 */
    return copy_out(*sp, pointers, (count + 1) * sizeof *pointers);
}

/* Replace the current process's program; -1, and nothing changed, if there is no such program.
   Returns the number of arguments, which as the system call's result becomes main's first argument. */
i64 exec(const char *name, u32 count, const char *const arguments[])
{
    const struct entry *entry = ramdisk_find(name);
    struct space space;
    if (entry == NULL || count > ARGUMENTS_MAX || !space_create(&space))
        return -1;
    if (!load(&space, entry)) {
        space_destroy(&space);
        return -1;
    }
    space_destroy(&current->space);
    current->space = space;
    current->heap_end = space.regions[REGION_HEAP].start;
    space_switch(&current->space);
    strcopy(current->name, name, sizeof current->name);

    u64 sp = USER_STACK_TOP;
    if (!push_arguments(count, arguments, &sp))
        process_exit(STATUS_KILLED); /* out of memory, and no way back */
    memset(current->frame, 0, sizeof *current->frame);
    current->frame->x[X_PC] = ((const struct elf_header *)ramdisk_data(entry))->entry;
    current->frame->x[X_SP] = sp;
    current->frame->x[X_A0] = count;
    current->frame->x[X_A1] = sp;
    return count;
}
