#include "fdt.h"
#include "string.h"

enum { MAGIC = 0xd00dfeed, BEGIN_NODE = 1, END_NODE = 2, PROPERTY = 3, NOP = 4, END = 9 };

static u32 be32(const void *at) { return __builtin_bswap32(*(const u32 *)at); }

/* A number of 1 or 2 cells. */
static u64 cells(const u8 *at, u32 count)
{
    return count == 2 ? (u64)be32(at) << 32 | be32(at + 4) : be32(at);
}

bool fdt_read(const void *fdt, struct board *board)
{
    const u8 *tree = fdt;
    if (fdt == NULL || be32(tree) != MAGIC)
        return false;
    const u8 *at = tree + be32(tree + 8);
    const char *names = (const char *)tree + be32(tree + 12);
    u32 address_cells = 2, size_cells = 1; /* the specification's defaults */
    const char *child = "";                /* the node below the root we are in */
    int depth = 0;

    for (;;) {
        u32 token = be32(at);
        at += 4;
        if (token == BEGIN_NODE) {
            depth++;
            if (depth == 2)
                child = (const char *)at;
            at += (strlen((const char *)at) + 4) & ~3ul;
        } else if (token == END_NODE) {
            depth--;
        } else if (token == PROPERTY) {
            u32 length = be32(at);
            const char *name = names + be32(at + 4);
            const u8 *value = at + 8;
            at = value + ((length + 3) & ~3u);
            if (depth == 1 && !strcmp(name, "#address-cells"))
                address_cells = be32(value);
            else if (depth == 1 && !strcmp(name, "#size-cells"))
                size_cells = be32(value);
            else if (depth == 2 && !strncmp(child, "memory@", 7) && !strcmp(name, "reg")) {
                board->memory_base = cells(value, address_cells);
                board->memory_size = cells(value + 4 * address_cells, size_cells);
            } else if (depth == 2 && !strcmp(child, "cpus") && !strcmp(name, "timebase-frequency"))
                board->timebase = cells(value, length / 4);
            else if (depth == 2 && !strcmp(child, "chosen") && !strcmp(name, "bootargs"))
                strcopy(board->bootargs, (const char *)value, sizeof board->bootargs);
        } else if (token != NOP) {
            return token == END;
        }
    }
}

const char *board_option(const struct board *board, const char *name)
{
    size_t length = strlen(name);
    for (const char *word = board->bootargs; *word;) {
        if (!strncmp(word, name, length)) {
            char next = word[length];
            if (next == '=')
                return word + length + 1;
            if (next == 0 || next == ' ')
                return "";
        }
        while (*word && *word != ' ')
            word++;
        while (*word == ' ')
            word++;
    }
    return NULL;
}
