/* printf for kernel, tiny guests and user programs alike; each side supplies print_bytes. */
#pragma once
#include "types.h"

/* Conversions: %d %u %x %s %c %%; `l` for 64 bits, a width, a leading 0 or - (left-justified). */
__attribute__((format(printf, 1, 2))) void printf(const char *format, ...);
/* Where printf's text goes, a line at a time. */
void print_bytes(const char *text, size_t length);
