/* What kvmrun and the guest it runs have in common: where RAM and the one device lie, the device's registers, the
   hypercall, and the work whose results the two compare. */
#pragma once
#include <stdint.h>

#define GUEST_RAM 0x80000000ul
#define GUEST_RAM_SIZE (8ul << 20)

/* The device: loads and stores of 1, 2, 4 and 8 bytes, each of which is an exit to kvmrun. */
#define DEVICE 0x10000000ul
#define DEVICE_SIZE 0x1000ul
enum {
    DEVICE_SEED = 0x00,     /* load: where the work starts */
    DEVICE_TIMEBASE = 0x08, /* load: ticks of `time` in a second */
    DEVICE_VCPUS = 0x10,    /* load: how many there are */
    DEVICE_FOLD = 0x18,     /* store: fold the value, and its size, into the sum; load: the sum's low bytes */
    DEVICE_LINE = 0x20,     /* store: 1 raises the external interrupt of the vCPU that stores, 0 lowers it */
    DEVICE_TICKS = 0x28,    /* store: timer interrupts that the guest has counted */
    DEVICE_RESULT = 0x30,   /* store: what the work came to, over all vCPUs */
};

/* An SBI call (extension, function 0): the sum of the words of [a0, a0 + a1) of guest physical memory. */
#define HYPERCALL 0x08000000ul

#define MAX_VCPUS 4
#define TICKS 8 /* timer interrupts of each vCPU */
#define HEAP_WORDS (64 * 512ul) /* of each vCPU: 64 pages */

static inline uint64_t fold(uint64_t sum, uint64_t value, uint64_t size)
{
    return (sum << 7 | sum >> 57) ^ (value + size);
}

/* The work of a vCPU: fill the words with numbers from `seed` on, then sum them in another order, and in between
   iterate in floating point. */
static inline uint64_t work(uint64_t *words, uint64_t seed)
{
#pragma STDC FP_CONTRACT OFF
    double value = (double)(seed % 1000 + 1) / 1002.0;
    uint64_t sum = 0;
    for (uint64_t i = 0; i < HEAP_WORDS; i++) {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        words[i] = seed;
    }
    for (uint64_t i = 0; i < HEAP_WORDS; i++) {
        value = 3.75 * value * (1.0 - value);
        sum = fold(sum, words[i * 4099 % HEAP_WORDS], (uint64_t)(value * 1e15));
    }
    return sum;
}
