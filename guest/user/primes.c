/* primes [N]: the primes below N (100 if not given). */
#include "user.h"

int main(int argc, char *argv[])
{
    u64 limit = argc > 1 ? parse_number(argv[1]) : 100;
    u8 *is_composite = sbrk((i64)limit); /* zeroes, a page at a time as they are touched */
    if (limit == 0 || is_composite == NULL) {
        printf("primes: give a number that memory has room for\n");
        return 1;
    }
    for (u64 i = 2; i < limit; i++) {
        if (is_composite[i])
            continue;
        printf("%lu ", i);
        for (u64 j = i * i; j < limit; j += i)
            is_composite[j] = 1;
    }
    printf("\n");
    return 0;
}
