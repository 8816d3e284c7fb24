/* Every atomic instruction of the A extension against what the manual says it computes. */
#include "workload.h"

enum { ROUNDS = 700, INCREMENTS = 4000 };

/* One AMO on `memory` with `operand`; the old value comes back as the register would hold it. */
#define AMO(instruction)                                                                          \
    ({                                                                                            \
        u64 old_;                                                                                 \
        asm volatile(instruction " %0, %2, %1" : "=r"(old_), "+A"(memory) : "r"(operand) : "memory"); \
        old_;                                                                                     \
    })

static u64 least(u64 a, u64 b, bool is_signed) { return (is_signed ? (i64)a < (i64)b : a < b) ? a : b; }
static u64 most(u64 a, u64 b, bool is_signed) { return (is_signed ? (i64)a > (i64)b : a > b) ? a : b; }

#define CHECK_DOUBLE(name, result)                               \
    do {                                                         \
        u64 memory = value, old = AMO("amo" name ".d");          \
        check(old == value && memory == (result), "amo" name ".d"); \
        hash += memory;                                          \
    } while (0)

static u64 double_words(u64 value, u64 operand)
{
    u64 hash = 0;
    CHECK_DOUBLE("swap", operand);
    CHECK_DOUBLE("add", value + operand);
    CHECK_DOUBLE("xor", value ^ operand);
    CHECK_DOUBLE("and", value & operand);
    CHECK_DOUBLE("or", value | operand);
    CHECK_DOUBLE("min", least(value, operand, true));
    CHECK_DOUBLE("max", most(value, operand, true));
    CHECK_DOUBLE("minu", least(value, operand, false));
    CHECK_DOUBLE("maxu", most(value, operand, false));
    return hash;
}

#define CHECK_WORD(name, result)                                                        \
    do {                                                                                \
        u32 memory = (u32)value;                                                        \
        u64 old = AMO("amo" name ".w");                                                 \
        check(old == (u64)(i64)(i32)value && memory == (u32)(result), "amo" name ".w"); \
        hash += memory;                                                                 \
    } while (0)

static u64 words(u64 value, u64 operand)
{
    u64 hash = 0, signed_value = (u64)(i64)(i32)value, signed_operand = (u64)(i64)(i32)operand;
    CHECK_WORD("swap", operand);
    CHECK_WORD("add", value + operand);
    CHECK_WORD("xor", value ^ operand);
    CHECK_WORD("and", value & operand);
    CHECK_WORD("or", value | operand);
    CHECK_WORD("min", least(signed_value, signed_operand, true));
    CHECK_WORD("max", most(signed_value, signed_operand, true));
    CHECK_WORD("minu", least((u32)value, (u32)operand, false));
    CHECK_WORD("maxu", most((u32)value, (u32)operand, false));
    return hash;
}

/* Count with LR/SC; a timer interrupt in between makes SC fail, and we try again. */
static u64 reservations(void)
{
    u64 counter = 0;
    u32 small = 0;
    for (int i = 0; i < INCREMENTS; i++) {
        u64 value, failed;
        do {
            asm volatile("lr.d %0, %2\n addi %0, %0, 3\n sc.d %1, %0, %2"
                         : "=&r"(value), "=&r"(failed), "+A"(counter)::"memory");
        } while (failed);
        do {
            asm volatile("lr.w %0, %2\n addi %0, %0, 5\n sc.w %1, %0, %2"
                         : "=&r"(value), "=&r"(failed), "+A"(small)::"memory");
        } while (failed);
    }
    check(counter == 3 * INCREMENTS && small == 5 * INCREMENTS, "increments by LR and SC were lost");
    u64 failed;
    asm volatile("sc.d %0, zero, %1" : "=r"(failed), "+A"(counter)::"memory");
    check(failed != 0 && counter == 3 * INCREMENTS, "SC without a reservation stored");
    return counter + small;
}

u64 run_atomics(u64 seed)
{
    u64 hash = reservations();
    for (int i = 0; i < ROUNDS; i++) {
        u64 value = next_random(&seed), operand = next_random(&seed);
        hash = mix(hash, double_words(value, operand) ^ words(value, operand));
    }
    return hash;
}
