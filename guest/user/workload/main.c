/* workload [ROUNDS]: a bit of everything that a machine and its kernel have to get right. */
#include "workload.h"

static const struct stage stages[] = {
    {"sort", run_sort},       {"sieve", run_sieve},   {"crc", run_crc},           {"matrix", run_matrix},
    {"divide", run_divide},   {"tree", run_tree},     {"atomics", run_atomics},   {"misaligned", run_misaligned},
    {"heap", run_heap},       {"stack", run_stack},   {"remap", run_remap},       {"codegen", run_codegen},
    {"fork", run_fork},       {"pipes", run_pipes},   {"exec", run_exec},         {"preempt", run_preempt},
    {"sleep", run_sleep},     {"faults", run_faults},
};
enum { DEFAULT_ROUNDS = 4 };

static const char *stage_name = "workload";

void check(bool is_true, const char *what)
{
    if (is_true)
        return;
    printf("%s: wrong: %s\n", stage_name, what);
    exit(1);
}

u64 next_random(u64 *state)
{
    *state += 0x9e3779b97f4a7c15;
    u64 z = *state;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
}

u64 mix(u64 hash, u64 value)
{
    u64 state = hash ^ value;
    return next_random(&state) + hash * 31;
}

u64 hash_bytes(const void *bytes, u64 length)
{
    const u8 *at = bytes;
    u64 hash = 0xcbf29ce484222325; /* FNV-1a */
    for (u64 i = 0; i < length; i++)
        hash = (hash ^ at[i]) * 0x100000001b3;
    return hash;
}

int start(void (*run)(u64 argument), u64 argument)
{
    int pid = fork();
    check(pid >= 0, "fork failed");
    if (pid == 0) {
        run(argument);
        exit(0);
    }
    return pid;
}

int join(void)
{
    int status;
    check(wait(&status) > 0, "no child to wait for");
    return status;
}

/* Run a stage in a child, which hands its result back through a pipe; false if the child failed. */
static bool run_stage(const struct stage *stage, u64 seed, u64 *result)
{
    int fds[2];
    stage_name = stage->name;
    check(pipe(fds) == 0, "no pipe");
    int pid = fork();
    check(pid >= 0, "fork failed");
    if (pid == 0) {
        close(fds[0]);
        u64 value = stage->run(seed);
        write(fds[1], &value, sizeof value);
        exit(0);
    }
    close(fds[1]);
    bool has_result = read_all(fds[0], result, sizeof *result) == sizeof *result;
    close(fds[0]);
    int status = join();
    if (status >= STATUS_FAULT)
        printf("%s: %s\n", stage->name, status_name(status));
    return has_result && status == 0;
}

int main(int argc, char *argv[])
{
    u64 rounds = argc > 1 ? parse_number(argv[1]) : DEFAULT_ROUNDS;
    u64 seed = 2, total = 0, failures = 0;
    for (u64 round = 1; round <= rounds; round++) {
        printf("round %lu of %lu\n", round, rounds);
        for (u64 i = 0; i < LENGTH(stages); i++) {
            u64 result = 0;
            if (run_stage(&stages[i], next_random(&seed), &result)) {
                printf("  %-10s %016lx\n", stages[i].name, result);
                total = mix(total, result);
            } else {
                printf("  %-10s failed\n", stages[i].name);
                failures++;
            }
        }
    }
    printf("workload: checksum %016lx, %lu stages failed\n", total, failures);
    return failures > 0;
}
