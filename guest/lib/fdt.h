/* The three facts a guest wants from the flattened device tree (Devicetree specification, chapter 5). */
#pragma once
#include "types.h"

struct board {
    u64 memory_base;
    u64 memory_size; /* bytes */
    u64 timebase;    /* ticks of the `time` CSR per second */
    char bootargs[256];
};

/* Read the tree at `fdt` (big-endian, found by firmware's a1); false if there is none. */
bool fdt_read(const void *fdt, struct board *board);
/* The text after "name=" among the board's boot arguments, "" for a bare "name", NULL if absent. */
const char *board_option(const struct board *board, const char *name);
