/* What Dhrystone's authors found typical of systems programs: records copied and linked, strings copied and compared,
   small functions with one or two parameters, few loops. The mix is its, the text is ours. As compilers and libraries
   have done for long, constant strings are copied as a block, and strings are compared by words. */
#include "bench.h"

const char name[] = "dhrystone";
u64 expected = 0x3d1f54bd05e181da;

enum choice { FIRST, SECOND, THIRD, FOURTH, FIFTH };

typedef char text_t[32] __attribute__((aligned(8)));

struct record {
    struct record *link;
    enum choice kind;
    enum choice component;
    i32 number;
    text_t text;
};

static struct record one, other;
static struct record *root;
static i32 global;
static bool flag;
static char letter_one, letter_two;
static i32 row[50], table[50][50];

#define CALL __attribute__((noinline))

static CALL bool is_third(enum choice value) { return value == THIRD; }

static CALL void choose(enum choice value, enum choice *result)
{
    *result = is_third(value) ? value : FOURTH;
    switch (value) {
    case FIRST:
        *result = FIRST;
        break;
    case SECOND:
        *result = global > 100 ? FIRST : FOURTH;
        break;
    case THIRD:
        *result = SECOND;
        break;
    case FIFTH:
        *result = THIRD;
        break;
    default:
        break;
    }
}

static CALL void add_up(i32 a, i32 b, i32 *result) { *result = b + a + 2; }

static CALL enum choice same(char a, char b)
{
    char copy = a;
    if (copy != b)
        return FIRST;
    letter_one = copy;
    return SECOND;
}

/* strcmp, of aligned strings: by words until these differ or hold the end. */
static CALL int compare(const char *a, const char *b)
{
    const u64 low = 0x0101010101010101ul, high = low << 7;
    const u64 *left = (const u64 *)a, *right = (const u64 *)b;
    while (*left == *right && !((*left - low) & ~*left & high)) {
        left++;
        right++;
    }
    return strcmp((const char *)left, (const char *)right);
}

static CALL bool in_order(const char *a, const char *b)
{
    int at = 2;
    char letter = 'A';
    while (at <= 2) {
        if (same(a[at], b[at + 1]) == FIRST) {
            letter = 'A';
            at++;
        }
    }
    if (letter >= 'W' && letter < 'Z')
        at = 7;
    if (letter == 'R')
        return true;
    if (compare(a, b) > 0) {
        global = at + 7;
        return true;
    }
    return false;
}

static CALL void fill(i32 *array, i32 (*square)[50], i32 index, i32 value)
{
    i32 at = index + 5;
    array[at] = value;
    array[at + 1] = array[at];
    array[at + 30] = at;
    for (i32 i = at; i <= at + 1; i++)
        square[at][i] = at;
    square[at][at - 1] += 1;
    square[at + 20][at] = array[at];
    global = 5;
}

static CALL void follow(struct record **where)
{
    if (root)
        *where = root->link;
    add_up(10, global, &root->number);
}

static CALL void copy_record(struct record *record)
{
    struct record *next = record->link;
    *record->link = *root;
    record->number = 5;
    next->number = record->number;
    next->link = record->link;
    follow(&next->link);
    if (next->kind == FIRST) {
        next->number = 6;
        choose(record->component, &next->component);
        next->link = root->link;
        add_up(next->number, 10, &next->number);
    } else {
        *record = *record->link;
    }
}

static CALL void countdown(i32 *value)
{
    i32 at = *value + 10;
    while (letter_one == 'A') {
        at--;
        *value = at - global;
        break;
    }
}

static CALL void letters(void)
{
    flag = letter_one == 'A' || flag;
    letter_two = 'B';
}

void prepare(void) {}

u64 work(void)
{
    text_t text, second;
    i32 a = 0, b = 0, c = 0;
    u64 sum = 0;
    root = &one;
    other.link = NULL;
    one.link = &other;
    one.kind = FIRST;
    one.component = THIRD;
    one.number = 40;
    table[8][7] = 10;
    global = 0;
    flag = false;
    static const text_t record_text = "RECORDS, OF WHICH THIS IS ONE ", first_text = "A STRING THAT IS SOME THIRTY, 1",
                        second_text = "A STRING THAT IS SOME THIRTY, 2";
    __builtin_memcpy(one.text, record_text, sizeof(text_t));
    __builtin_memcpy(text, first_text, sizeof(text_t));
    for (i32 i = 1; i <= 2000; i++) {
        enum choice kind;
        letter_one = 'A';
        letters();
        a = 2;
        b = 3;
        __builtin_memcpy(second, second_text, sizeof(text_t));
        kind = SECOND;
        flag = !in_order(text, second);
        while (a < b) {
            c = 5 * a - b;
            add_up(a, b, &c);
            a++;
        }
        fill(row, table, a, c);
        copy_record(root);
        for (char letter = 'A'; letter <= letter_two; letter++) {
            if (kind == same(letter, 'C'))
                choose(FIRST, &kind);
        }
        b = b * a;
        a = b / c;
        b = 7 * (b - c) - a;
        countdown(&a);
        sum = sum * 31 + (u64)(a + b + c + global + one.number + other.number + (i32)kind);
    }
    return sum + (u64)table[8][7];
}
