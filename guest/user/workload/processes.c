/* Processes: copies of memory, pipes, programs, preemption, and what happens to those that misbehave. */
#include "workload.h"

enum { PAGE = 4096, COW_PAGES = 12, CHILDREN = 3, PIPE_BYTES = 32000, SPINS = 24000 };

static u64 *shared_pages;
static int results[2]; /* a pipe: children write numbers that may arrive in any order */

static u64 pages_hash(void)
{
    u64 hash = 0;
    for (u64 i = 0; i < COW_PAGES * PAGE / 8; i += 16)
        hash = mix(hash, shared_pages[i]);
    return hash;
}

static void send(u64 value) { check(write(results[1], &value, sizeof value) == sizeof value, "a pipe broke"); }

/* The sum of what `count` children have sent, once all have ended well. */
static u64 collect(int count)
{
    u64 sum = 0;
    for (int i = 0; i < count; i++) {
        u64 value;
        check(read_all(results[0], &value, sizeof value) == sizeof value, "a child sent nothing");
        sum += value;
    }
    for (int i = 0; i < count; i++)
        check(join() == 0, "a child failed");
    return sum;
}

/* Change some of the pages while `generations` of descendants change others of theirs. */
static void change_pages(u64 generations)
{
    for (u64 i = generations; i < COW_PAGES; i += 3)
        shared_pages[i * PAGE / 8] += generations + 1;
    u64 before = pages_hash();
    if (generations > 0)
        start(change_pages, generations - 1);
    send(before);
    check(generations == 0 || join() == 0, "a grandchild failed");
    check(pages_hash() == before, "a grandchild changed our memory");
}

u64 run_fork(u64 seed)
{
    shared_pages = sbrk(COW_PAGES * PAGE);
    check(shared_pages != NULL && pipe(results) == 0, "no memory or no pipe");
    for (u64 i = 0; i < COW_PAGES * PAGE / 8; i += 16)
        shared_pages[i] = next_random(&seed);
    u64 hash = pages_hash(), sum = 0;
    for (u64 round = 0; round < 4; round++) {
        for (u64 child = 0; child < CHILDREN; child++)
            start(change_pages, child); /* which has `child` descendants */
        u64 value;
        for (int i = 0; i < CHILDREN * (CHILDREN - 1) / 2; i++) {
            check(read_all(results[0], &value, sizeof value) == sizeof value, "a child sent nothing");
            sum += value;
        }
        sum += collect(CHILDREN);
        check(pages_hash() == hash, "a child changed its parent's memory");
    }
    close(results[1]);
    u64 rest;
    check(read(results[0], &rest, sizeof rest) == 0, "somebody sent too much");
    return mix(hash, sum);
}

static int pipe_in, pipe_out;

/* Write bytes in pieces of all sizes. */
static void produce(u64 seed)
{
    u8 piece[700];
    for (u64 left = PIPE_BYTES; left > 0;) {
        u64 length = 1 + next_random(&seed) % sizeof piece;
        if (length > left)
            length = left;
        for (u64 i = 0; i < length; i++)
            piece[i] = (u8)(left - i);
        check(write(pipe_out, piece, length) == (i64)length, "a write was cut short");
        left -= length;
    }
}

static void filter(u64 key)
{
    u8 piece[500];
    i64 count;
    while ((count = read(pipe_in, piece, sizeof piece)) > 0) {
        for (i64 i = 0; i < count; i++)
            piece[i] ^= (u8)key;
        write(pipe_out, piece, (u64)count);
    }
}

/* produce | filter | us */
u64 run_pipes(u64 seed)
{
    static u8 bytes[PIPE_BYTES + 1];
    int first[2], second[2];
    u8 key = (u8)seed;
    check(pipe(first) == 0 && pipe(second) == 0, "no pipe");
    pipe_out = first[1];
    start(produce, seed);
    close(first[1]);
    pipe_in = first[0];
    pipe_out = second[1];
    start(filter, key);
    close(first[0]);
    close(second[1]);
    check(read_all(second[0], bytes, sizeof bytes) == PIPE_BYTES, "bytes were lost in the pipe");
    for (u64 i = 0; i < PIPE_BYTES; i++)
        check((u8)(bytes[i] ^ key) == (u8)(PIPE_BYTES - i), "bytes were changed in the pipe");
    check(join() == 0 && join() == 0, "a child failed");
    return hash_bytes(bytes, PIPE_BYTES);
}

/* The output of a program, as the shell would pipe it. */
static u64 output_of(char *const argv[], char *text, u64 size)
{
    int fds[2];
    check(pipe(fds) == 0, "no pipe");
    int pid = fork();
    if (pid == 0) {
        close(fds[0]);
        move_descriptor(fds[1], 1);
        exec(argv[0], argv);
        exit(127);
    }
    close(fds[1]);
    u64 length = read_all(fds[0], text, size - 1);
    text[length] = 0;
    close(fds[0]);
    check(join() == 0, "a program failed");
    return length;
}

u64 run_exec(u64 seed)
{
    char text[300];
    u64 hash = seed;
    for (int round = 0; round < 3; round++) {
        char *echo[] = {"echo", "a", "program", "of", "its", "own", NULL};
        output_of(echo, text, sizeof text);
        check(!strcmp(text, "a program of its own\n"), "echo printed something else");
        char *primes[] = {"primes", "300", NULL};
        u64 length = output_of(primes, text, sizeof text);
        check(!strncmp(text, "2 3 5 7 11 ", 11), "primes printed something else");
        hash = mix(hash, hash_bytes(text, length));
    }
    char *missing[] = {"no such program", NULL};
    check(exec(missing[0], missing) < 0, "a program that does not exist was run");
    return hash;
}

static void spin(u64 seed)
{
    u64 hash = seed;
    for (u64 i = 0; i < SPINS; i++) {
        hash = mix(hash, i);
        if (i % 4096 == 0)
            yield();
    }
    send(hash);
}

/* Several that never wait, longer than their time slices: only the timer can share the hart among them. */
u64 run_preempt(u64 seed)
{
    check(pipe(results) == 0, "no pipe");
    for (u64 i = 0; i < CHILDREN; i++)
        start(spin, seed + i);
    return collect(CHILDREN);
}

static void doze(u64 ticks)
{
    u64 before = uptime();
    sleep(ticks);
    check(uptime() >= before + ticks, "a process woke too early");
    send(ticks);
}

/* Nobody can run for a while: the kernel idles until the timer wakes the sleepers. */
u64 run_sleep(u64 seed)
{
    check(pipe(results) == 0, "no pipe");
    for (u64 i = 0; i < CHILDREN; i++)
        start(doze, i + 1);
    return mix(seed, collect(CHILDREN));
}

static void read_null(u64 unused) { *(volatile u8 *)unused; }
static void write_text(u64 unused) { *(volatile u32 *)USER_PROGRAM = (u32)unused; }
static void write_kernel(u64 unused) { *(volatile u64 *)0x80200000 = unused; }
static void read_noncanonical(u64 unused) { *(volatile u8 *)(1ul << 45 | unused); }
static void run_stack_bytes(u64 unused)
{
    volatile u16 code = 0x8082; /* c.jr ra */
    ((void (*)(u64))(void *)&code)(unused);
}
static void run_privileged(u64 unused) { asm volatile("csrw satp, %0" ::"r"(unused)); }
static void run_sret(u64 unused) { asm volatile("sret" ::"r"(unused)); }
static void run_breakpoint(u64 unused) { asm volatile("ebreak" ::"r"(unused)); }
static void run_unmapped(u64 unused)
{
    void *page = map(PAGE, PROT_READ | PROT_WRITE);
    *(volatile u64 *)page = unused;
    unmap(page, PAGE);
    *(volatile u64 *)page = unused;
}
static void read_execute_only(u64 unused)
{
    u64 *page = map(PAGE, PROT_READ | PROT_WRITE);
    *page = unused;
    protect(page, PAGE, PROT_EXEC);
    *(volatile u64 *)page;
}
static void wait_for_ever(u64 unused)
{
    u8 byte;
    read(results[0], &byte, unused + 1);
}

/* Each of these must end in just this way, and take nobody along. */
u64 run_faults(u64 seed)
{
    static const struct {
        void (*run)(u64);
        int status;
    } cases[] = {
        {read_null, STATUS_FAULT + 13},
        {write_text, STATUS_FAULT + 15},
        {write_kernel, STATUS_FAULT + 15},
        {read_noncanonical, STATUS_FAULT + 13},
        {run_stack_bytes, STATUS_FAULT + 12},
        {run_privileged, STATUS_FAULT + 2},
        {run_sret, STATUS_FAULT + 2},
        {run_breakpoint, STATUS_FAULT + 3},
        {run_unmapped, STATUS_FAULT + 15},
        {read_execute_only, STATUS_FAULT + 13},
    };
    u64 hash = seed;
    for (u64 i = 0; i < LENGTH(cases); i++) {
        start(cases[i].run, 0);
        int status = join();
        check(status == cases[i].status, "a process that misbehaved did not end as it should");
        hash = mix(hash, (u64)status);
    }
    check(pipe(results) == 0, "no pipe");
    int pid = start(wait_for_ever, 0);
    yield();
    check(kill(pid) == 0 && join() == STATUS_KILLED, "a blocked process could not be killed");
    check(write(results[1], (void *)0x80200000, 8) < 0, "the kernel gave away its own memory");
    check(write(results[1], (void *)8, 8) < 0, "the kernel read what is not there");
    check(system_call(SYS_COUNT, 0, 0, 0) < 0 && system_call(~0ul, 0, 0, 0) < 0, "unknown system calls");
    return hash;
}
