/* The workload's stages. Each runs in a process of its own, checks its own results, and returns a number that depends
   on its seed and on nothing else: not on time, addresses, process numbers or the order in which processes ran. */
#pragma once
#include "user.h"

struct stage {
    const char *name;
    u64 (*run)(u64 seed);
};

/* End this process, and with it the stage, unless `is_true`. */
void check(bool is_true, const char *what);
/* The next number of a pseudo-random sequence (splitmix64). */
u64 next_random(u64 *state);
/* A number made of `hash` and `value` in which every bit matters. */
u64 mix(u64 hash, u64 value);
u64 hash_bytes(const void *bytes, u64 length);
/* Start `run(argument)` in a child that then exits, with a status of 0 if it returns. */
int start(void (*run)(u64 argument), u64 argument);
/* Wait for any child and return its status. */
int join(void);

/* compute.c */
u64 run_sort(u64 seed);
u64 run_sieve(u64 seed);
u64 run_crc(u64 seed);
u64 run_matrix(u64 seed);
u64 run_divide(u64 seed);
u64 run_tree(u64 seed);
/* atomics.c */
u64 run_atomics(u64 seed);
/* memory.c */
u64 run_misaligned(u64 seed);
u64 run_heap(u64 seed);
u64 run_stack(u64 seed);
u64 run_remap(u64 seed);
u64 run_codegen(u64 seed);
/* processes.c */
u64 run_fork(u64 seed);
u64 run_pipes(u64 seed);
u64 run_exec(u64 seed);
u64 run_preempt(u64 seed);
u64 run_sleep(u64 seed);
u64 run_faults(u64 seed);
