/* Memory as the kernel gives it: heap, stack, maps, permissions, code made at run time. */
#include "workload.h"

enum { PAGE = 4096 };

/* Loads and stores across every boundary, page borders included, against bytes moved one by one. */
u64 run_misaligned(u64 seed)
{
    u8 *pages = map(2 * PAGE, PROT_READ | PROT_WRITE);
    check(pages != NULL, "no memory");
    u64 hash = 0;
    for (int round = 0; round < 60; round++)
        for (u64 offset = PAGE - 12; offset < PAGE + 12; offset++) {
            u64 value = next_random(&seed);
            volatile u8 *at = pages + offset;
            *(volatile u64 *)at = value;
            for (int i = 0; i < 8; i++)
                check(at[i] == (u8)(value >> 8 * i), "a misaligned store");
            *(volatile u32 *)(at + 1) = (u32)value;
            *(volatile u16 *)(at + 3) = (u16)value;
            u64 bytes = 0;
            for (int i = 7; i >= 0; i--)
                bytes = bytes << 8 | at[i];
            check(*(volatile u64 *)at == bytes, "a misaligned ld");
            check(*(volatile i32 *)(at + 3) == (i32)(bytes >> 24), "a misaligned lw");
            check(*(volatile u16 *)(at + 5) == (u16)(bytes >> 40), "a misaligned lhu");
            hash = mix(hash, bytes);
        }
    return hash;
}

/* Grow, fill, move, shrink and grow again: what comes back is zeroed. */
u64 run_heap(u64 seed)
{
    u64 hash = 0;
    for (int round = 0; round < 14; round++) {
        u64 pages = 2 + next_random(&seed) % 6, bytes = pages * PAGE;
        u8 *start = sbrk((i64)bytes);
        check(start != NULL, "sbrk failed");
        for (u64 i = 0; i < pages; i++)
            check(*(u64 *)(start + i * PAGE) == 0, "a new heap page is not zeroed");
        for (u64 i = 0; i < bytes; i += 8)
            *(u64 *)(start + i) = seed + i;
        memmove(start + 24, start, bytes - 24);
        hash = mix(hash, hash_bytes(start + bytes - 512, 512));
        check(sbrk(-(i64)bytes) == start + bytes, "sbrk does not tell the old end");
    }
    return hash;
}

/* Recursion deep enough to touch some 40 pages of stack. */
static u64 descend(u64 depth, u64 seed)
{
    volatile u64 local[60];
    for (u64 i = 0; i < LENGTH(local); i += 4)
        local[i] = seed + i;
    u64 below = depth ? descend(depth - 1, mix(seed, depth)) : seed;
    for (u64 i = 0; i < LENGTH(local); i += 4)
        check(local[i] == seed + i, "the stack changed under a function");
    return mix(below, local[8]);
}

u64 run_stack(u64 seed)
{
    u64 hash = 0;
    for (int round = 0; round < 10; round++)
        hash = mix(hash, descend(300, next_random(&seed)));
    return hash;
}

/* Map, split by permissions, unmap holes, map again into them. */
u64 run_remap(u64 seed)
{
    enum { PAGES = 8 };
    u64 hash = 0;
    for (int round = 0; round < 40; round++) {
        u64 *area = map(PAGES * PAGE, PROT_READ | PROT_WRITE);
        check(area != NULL, "map failed");
        for (u64 i = 0; i < PAGES; i++)
            area[i * PAGE / 8] = next_random(&seed);
        u64 hole = 1 + next_random(&seed) % (PAGES - 2);
        u64 *middle = area + hole * PAGE / 8;
        check(protect(middle, PAGE, PROT_READ) == 0, "protect failed");
        u64 before = *middle;
        check(protect(middle, PAGE, PROT_READ | PROT_WRITE) == 0, "protect failed");
        *middle = before + 1;
        check(unmap(middle, PAGE) == 0, "unmap failed");
        check(unmap(middle, PAGE) < 0, "unmap of nothing did not fail");
        check(map(PAGE, PROT_READ | PROT_WRITE) == middle, "the hole was not used again");
        check(*middle == 0, "an old page came back");
        *middle = before;
        for (u64 i = 0; i < PAGES; i++)
            hash = mix(hash, area[i * PAGE / 8]);
        check(unmap(area, PAGES * PAGE) == 0, "unmap failed");
    }
    return hash;
}

/* Write machine code, make it executable, run it; then change it and run it again. In between the page
   may only be executed, and yet the kernel can read it for us. */
u64 run_codegen(u64 seed)
{
    u32 *code = map(PAGE, PROT_READ | PROT_WRITE);
    check(code != NULL, "map failed");
    u64 value = seed, expected = seed;
    for (int round = 0; round < 24; round++) {
        u64 count = 4 + next_random(&seed) % 40;
        for (u64 i = 0; i < count; i++) {
            u32 immediate = next_random(&seed) & 0x7ff;
            bool is_add = next_random(&seed) & 1;
            code[i] = immediate << 20 | 10 << 15 | (is_add ? 0 : 4) << 12 | 10 << 7 | 0x13; /* addi or xori a0, a0 */
            expected = is_add ? expected + immediate : expected ^ immediate;
        }
        code[count] = 0x8082; /* c.jr ra */
        u64 hash = hash_bytes(code, count * 4);
        check(protect(code, PAGE, PROT_EXEC) == 0, "protect failed");
        asm volatile("fence.i" ::: "memory");
        value = ((u64(*)(u64))code)(value);
        check(value == expected, "made-up code computes something else");

        int fds[2];
        static u32 copy[48];
        check(pipe(fds) == 0, "no pipe");
        check(write(fds[1], code, count * 4) == (i64)count * 4, "the kernel cannot read execute-only memory");
        check(read_all(fds[0], copy, count * 4) == count * 4, "nothing came out of the pipe");
        check(hash_bytes(copy, count * 4) == hash, "code reads differently from what was written");
        close(fds[0]);
        close(fds[1]);
        check(protect(code, PAGE, PROT_READ | PROT_WRITE) == 0, "protect failed");
    }
    return value;
}
