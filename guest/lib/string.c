#include "string.h"

/* The compiler would turn these loops into calls of the very functions they define. */
#define PLAIN __attribute__((no_builtin))

PLAIN void *memset(void *to, int byte, size_t length)
{
    u8 *at = to, *end = at + length;
    u64 word = 0x0101010101010101ul * (u8)byte;
    while (at < end && ((u64)at & 7))
        *at++ = (u8)byte;
    for (; end - at >= 32; at += 32) {
        u64 *words = (u64 *)at;
        words[0] = word;
        words[1] = word;
        words[2] = word;
        words[3] = word;
    }
    while (at < end)
        *at++ = (u8)byte;
    return to;
}

PLAIN void *memcpy(void *to, const void *from, size_t length)
{
    u8 *at = to, *end = at + length;
    const u8 *source = from;
    if ((((u64)at | (u64)source) & 7) == 0) {
        for (; end - at >= 32; at += 32, source += 32) {
            u64 *words = (u64 *)at;
            const u64 *values = (const u64 *)source;
            u64 a = values[0], b = values[1], c = values[2], d = values[3];
            words[0] = a;
            words[1] = b;
            words[2] = c;
            words[3] = d;
        }
    }
    while (at < end)
        *at++ = *source++;
    return to;
}

PLAIN void *memmove(void *to, const void *from, size_t length)
{
    u8 *at = to;
    const u8 *source = from;
    if (at <= source || at >= source + length)
        return memcpy(to, from, length);
    while (length > 0) {
        length--;
        at[length] = source[length];
    }
    return to;
}

PLAIN int memcmp(const void *left, const void *right, size_t length)
{
    const u8 *a = left, *b = right;
    for (size_t i = 0; i < length; i++)
        if (a[i] != b[i])
            return a[i] - b[i];
    return 0;
}

PLAIN size_t strlen(const char *text)
{
    size_t length = 0;
    while (text[length])
        length++;
    return length;
}

int strcmp(const char *left, const char *right) { return strncmp(left, right, SIZE_MAX); }

PLAIN int strncmp(const char *left, const char *right, size_t length)
{
    for (size_t i = 0; i < length; i++)
        if (left[i] != right[i] || !left[i])
            return (u8)left[i] - (u8)right[i];
    return 0;
}

void strcopy(char *to, const char *from, size_t size)
{
    size_t length = strlen(from);
    if (length >= size)
        length = size - 1;
    memcpy(to, from, length);
    to[length] = 0;
}

u64 parse_number(const char *text)
{
    u64 number = 0;
    while (*text >= '0' && *text <= '9')
        number = number * 10 + (u64)(*text++ - '0');
    return number;
}
