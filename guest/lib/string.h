/* The C library's string functions that the guests (and the compiler) use. */
#pragma once
#include "types.h"

void *memset(void *to, int byte, size_t length);
void *memcpy(void *to, const void *from, size_t length);
void *memmove(void *to, const void *from, size_t length);
int memcmp(const void *left, const void *right, size_t length);
size_t strlen(const char *text);
int strcmp(const char *left, const char *right);
int strncmp(const char *left, const char *right, size_t length);
/* Copy at most size-1 characters and always end with a NUL. */
void strcopy(char *to, const char *from, size_t size);
/* The decimal number at the start of `text`, 0 if there is none. */
u64 parse_number(const char *text);
