/* An integer mix in the manner of CoreMark: a linked list that is searched, reversed and sorted, a matrix of 16-bit
   numbers, a state machine that reads numbers in text, and CRC-16 over what came of each. */
#include "bench.h"

const char name[] = "integer";
u64 expected = 0x53db;

static u16 crc16_byte(u8 byte, u16 crc)
{
    for (int i = 0; i < 8; i++) {
        bool bit = (byte ^ crc) & 1;
        byte >>= 1;
        crc >>= 1;
        if (bit)
            crc ^= 0xa001;
    }
    return crc;
}

static u16 crc16(u32 value, u16 crc)
{
    for (int i = 0; i < 4; i++, value >>= 8)
        crc = crc16_byte((u8)value, crc);
    return crc;
}

/* ---------------------------------------------------------------- the list */

enum { NODES = 128 };

struct node {
    struct node *next;
    i32 value;
    i32 index;
};

static struct node nodes[NODES];

static struct node *list_make(u64 seed)
{
    for (int i = 0; i < NODES; i++) {
        nodes[i].next = i + 1 < NODES ? &nodes[i + 1] : NULL;
        nodes[i].value = (i32)(random_next(&seed) & 0x7fff);
        nodes[i].index = i;
    }
    return nodes;
}

static struct node *list_find(struct node *list, i32 value)
{
    while (list && list->value != value)
        list = list->next;
    return list;
}

static struct node *list_reverse(struct node *list)
{
    struct node *done = NULL;
    while (list) {
        struct node *next = list->next;
        list->next = done;
        done = list;
        list = next;
    }
    return done;
}

static i32 by_value(const struct node *a, const struct node *b) { return a->value - b->value; }
static i32 by_index(const struct node *a, const struct node *b) { return a->index - b->index; }

/* A merge sort from the bottom up, as S. Tatham describes it for linked lists. */
static struct node *list_sort(struct node *list, i32 (*compare)(const struct node *, const struct node *))
{
    for (int size = 1;; size *= 2) {
        struct node *left = list, *tail = NULL;
        int merges = 0;
        list = NULL;
        while (left) {
            struct node *right = left;
            int n_left = 0, n_right = size;
            merges++;
            for (int i = 0; i < size && right; i++, n_left++)
                right = right->next;
            while (n_left > 0 || (n_right > 0 && right)) {
                struct node *least;
                if (n_left == 0 || (n_right > 0 && right && compare(left, right) > 0)) {
                    least = right;
                    right = right->next;
                    n_right--;
                } else {
                    least = left;
                    left = left->next;
                    n_left--;
                }
                if (tail)
                    tail->next = least;
                else
                    list = least;
                tail = least;
            }
            left = right;
        }
        tail->next = NULL;
        if (merges <= 1)
            return list;
    }
}

static u16 list_work(u16 crc)
{
    struct node *list = list_make(crc);
    for (int i = 0; i < 24; i++) {
        struct node *found = list_find(list, nodes[i * 5 + 3].value);
        crc = crc16((u32)found->index, crc);
        list = list_reverse(list);
    }
    list = list_sort(list, by_value);
    crc = crc16((u32)list->value, crc);
    list = list_sort(list, by_index);
    for (struct node *at = list; at; at = at->next)
        crc ^= (u16)(at->value * at->index);
    return crc;
}

/* ---------------------------------------------------------------- the matrix */

enum { SIZE = 12 };

static int16_t a[SIZE][SIZE], b[SIZE][SIZE];
static i32 c[SIZE][SIZE];

static u16 matrix_work(u16 crc)
{
    i32 sum = 0, last = 0;
    for (int i = 0; i < SIZE; i++) {
        for (int j = 0; j < SIZE; j++) {
            a[i][j] = (int16_t)(crc + i * j);
            b[i][j] = (int16_t)(crc ^ (i + j));
        }
    }
    for (int i = 0; i < SIZE; i++) {
        for (int j = 0; j < SIZE; j++) {
            i32 dot = 0;
            for (int k = 0; k < SIZE; k++)
                dot += a[i][k] * b[k][j];
            c[i][j] = dot;
        }
    }
    for (int i = 0; i < SIZE; i++) {
        for (int j = 0; j < SIZE; j++) {
            i32 clipped = (c[i][j] >> 2 & 0xf) * (c[i][j] >> 5 & 0x7f);
            sum += clipped > last ? 10 : clipped & 3;
            last = clipped;
        }
    }
    return crc16((u32)sum, crc);
}

/* ---------------------------------------------------------------- the state machine */

enum state { START, SIGN, INTEGER, POINT, FRACTION, EXPONENT, SCALE, INVALID, STATES };

static const char *const texts[] = {
    "5012", "-874", "+122", "35.54400", ".1234500", "-110.700", "+0.64400", "5.500e+3", "-.123e-2", "-87e+832",
    "+0.6e-12", "T0.3e-1F", "-T.T++Tq", "1T3.4e4z", "34.0e-T^",
};

static bool is_digit(char c) { return c >= '0' && c <= '9'; }

static enum state scan(const char *text, u32 *visits)
{
    enum state state = START;
    for (; *text; text++) {
        char c = *text;
        switch (state) {
        case START:
            state = is_digit(c) ? INTEGER : c == '+' || c == '-' ? SIGN : c == '.' ? POINT : INVALID;
            break;
        case SIGN:
            state = is_digit(c) ? INTEGER : c == '.' ? POINT : INVALID;
            break;
        case INTEGER:
            state = is_digit(c) ? INTEGER : c == '.' ? FRACTION : c == 'e' ? EXPONENT : INVALID;
            break;
        case POINT:
        case FRACTION:
            state = is_digit(c) ? FRACTION : c == 'e' ? EXPONENT : INVALID;
            break;
        case EXPONENT:
            state = is_digit(c) || c == '+' || c == '-' ? SCALE : INVALID;
            break;
        case SCALE:
            state = is_digit(c) ? SCALE : INVALID;
            break;
        default:
            break;
        }
        visits[state]++;
    }
    return state;
}

static u16 state_work(u16 crc)
{
    u32 visits[STATES] = {0};
    for (u64 i = 0; i < LENGTH(texts); i++)
        crc = crc16_byte((u8)scan(texts[(i + crc) % LENGTH(texts)], visits), crc);
    for (int i = 0; i < STATES; i++)
        crc = crc16(visits[i], crc);
    return crc;
}

void prepare(void) {}

u64 work(void)
{
    u16 crc = 0xe9f5;
    for (int i = 0; i < 10; i++)
        crc = state_work(matrix_work(list_work(crc)));
    return crc;
}
