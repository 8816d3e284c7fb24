/* Plain computing: what most of any program is. */
#include "workload.h"

enum { SORT_COUNT = 6000, SIEVE_LIMIT = 60000, CRC_BYTES = 24000, MATRIX_SIDE = 36, DIVISIONS = 6000, NODES = 1500 };

static void sift_down(u64 *heap, u64 root, u64 count)
{
    u64 value = heap[root];
    for (;;) {
        u64 child = 2 * root + 1;
        if (child >= count)
            break;
        if (child + 1 < count && heap[child] < heap[child + 1])
            child++;
        if (heap[child] <= value)
            break;
        heap[root] = heap[child];
        root = child;
    }
    heap[root] = value;
}

/* Heap sort; the sum tells that nothing was lost. */
u64 run_sort(u64 seed)
{
    u64 *numbers = sbrk(SORT_COUNT * sizeof *numbers);
    check(numbers != NULL, "no memory");
    u64 sum = 0;
    for (u64 i = 0; i < SORT_COUNT; i++)
        sum += numbers[i] = next_random(&seed);
    for (u64 i = SORT_COUNT / 2; i-- > 0;)
        sift_down(numbers, i, SORT_COUNT);
    for (u64 i = SORT_COUNT; i-- > 1;) {
        u64 largest = numbers[0];
        numbers[0] = numbers[i];
        numbers[i] = largest;
        sift_down(numbers, 0, i);
    }
    u64 hash = 0;
    for (u64 i = 0; i < SORT_COUNT; i++) {
        check(i == 0 || numbers[i - 1] <= numbers[i], "not in order");
        sum -= numbers[i];
        if (i % 16 == 0)
            hash = mix(hash, numbers[i]);
    }
    check(sum == 0, "numbers were lost");
    return hash;
}

/* Count primes, one bit a number. */
u64 run_sieve(u64 seed)
{
    u64 limit = SIEVE_LIMIT;
    u64 *composite = map((limit / 64 + 1) * sizeof *composite, PROT_READ | PROT_WRITE);
    check(composite != NULL, "no memory");
    u64 count = 0, hash = seed;
    for (u64 i = 2; i < limit; i++) {
        if (composite[i / 64] >> i % 64 & 1)
            continue;
        count++;
        hash += i * i;
        for (u64 j = i * i; j < limit; j += i)
            composite[j / 64] |= 1ul << j % 64;
    }
    check(count == 6057, "there are 6057 primes below 60000");
    return mix(hash, count);
}

/* CRC-32 by table and by bits must agree. */
u64 run_crc(u64 seed)
{
    static u32 table[256];
    static u8 bytes[CRC_BYTES];
    for (u32 i = 0; i < LENGTH(table); i++) {
        u32 crc = i;
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? 0xedb88320 : 0);
        table[i] = crc;
    }
    for (u64 i = 0; i < LENGTH(bytes); i++)
        bytes[i] = (u8)next_random(&seed);
    u32 fast = ~0u, slow = ~0u;
    for (u64 i = 0; i < LENGTH(bytes); i++) {
        fast = fast >> 8 ^ table[(u8)(fast ^ bytes[i])];
        slow ^= bytes[i];
        for (int bit = 0; bit < 8; bit++)
            slow = slow >> 1 ^ (slow & 1 ? 0xedb88320 : 0);
    }
    check(fast == slow, "the two ways to compute a CRC differ");
    return mix(~fast, hash_bytes(bytes, sizeof bytes));
}

/* (A B) v = A (B v), in 32-bit numbers that wrap. */
u64 run_matrix(u64 seed)
{
    static u32 a[MATRIX_SIDE][MATRIX_SIDE], b[MATRIX_SIDE][MATRIX_SIDE], product[MATRIX_SIDE][MATRIX_SIDE];
    static u32 v[MATRIX_SIDE], bv[MATRIX_SIDE];
    for (int i = 0; i < MATRIX_SIDE; i++) {
        v[i] = (u32)next_random(&seed);
        for (int j = 0; j < MATRIX_SIDE; j++) {
            a[i][j] = (u32)next_random(&seed);
            b[i][j] = (u32)next_random(&seed);
        }
    }
    for (int i = 0; i < MATRIX_SIDE; i++)
        for (int j = 0; j < MATRIX_SIDE; j++)
            for (int k = 0; k < MATRIX_SIDE; k++)
                product[i][j] += a[i][k] * b[k][j];
    for (int i = 0; i < MATRIX_SIDE; i++)
        for (int j = 0; j < MATRIX_SIDE; j++)
            bv[i] += b[i][j] * v[j];
    for (int i = 0; i < MATRIX_SIDE; i++) {
        u32 left = 0, right = 0;
        for (int j = 0; j < MATRIX_SIDE; j++) {
            left += product[i][j] * v[j];
            right += a[i][j] * bv[j];
        }
        check(left == right, "the product of matrices is wrong");
    }
    return hash_bytes(product, sizeof product);
}

/* Quotients, remainders and high products of every width and sign. */
u64 run_divide(u64 seed)
{
    u64 hash = 0;
    for (int i = 0; i < DIVISIONS; i++) {
        u64 a = next_random(&seed), b = next_random(&seed) >> (a % 60);
        if (i % 50 == 0)
            b = 0;
        u64 quotient, remainder, high;
        asm("divu %0, %1, %2" : "=&r"(quotient) : "r"(a), "r"(b));
        asm("remu %0, %1, %2" : "=&r"(remainder) : "r"(a), "r"(b));
        asm("mulhu %0, %1, %2" : "=&r"(high) : "r"(a), "r"(b));
        check(quotient * b + remainder == a, "divu and remu");
        check(b != 0 || (quotient == ~0ul && remainder == a), "division by zero");
        hash = mix(hash, quotient ^ high);
        asm("div %0, %1, %2" : "=&r"(quotient) : "r"(a), "r"(b));
        asm("rem %0, %1, %2" : "=&r"(remainder) : "r"(a), "r"(b));
        asm("mulhsu %0, %1, %2" : "=&r"(high) : "r"(a), "r"(b));
        check(quotient * b + remainder == a, "div and rem");
        hash = mix(hash, quotient ^ high);
        asm("divw %0, %1, %2" : "=&r"(quotient) : "r"(a), "r"(b));
        asm("remuw %0, %1, %2" : "=&r"(remainder) : "r"(a), "r"(b));
        asm("mulh %0, %1, %2" : "=&r"(high) : "r"(a), "r"(b));
        hash = mix(hash, quotient + remainder ^ high);
    }
    return hash;
}

struct node {
    u64 key;
    struct node *less, *more;
};

/* A binary tree: pointers, branches that nobody can predict, recursion. */
static u64 depth_first(const struct node *node, u64 hash, u64 *last)
{
    if (node == NULL)
        return hash;
    hash = depth_first(node->less, hash, last);
    check(*last <= node->key, "the tree is out of order");
    *last = node->key;
    return depth_first(node->more, mix(hash, node->key), last);
}

u64 run_tree(u64 seed)
{
    struct node *nodes = sbrk(NODES * sizeof *nodes);
    check(nodes != NULL, "no memory");
    struct node *root = NULL;
    for (int i = 0; i < NODES; i++) {
        struct node *node = &nodes[i];
        node->key = next_random(&seed);
        struct node **at = &root;
        while (*at)
            at = node->key < (*at)->key ? &(*at)->less : &(*at)->more;
        *at = node;
    }
    u64 last = 0;
    return depth_first(root, 0, &last);
}
