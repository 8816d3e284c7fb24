/* Short names for the fixed-width integers; every guest file starts here. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;
typedef int32_t i32;
typedef int64_t i64;

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))
