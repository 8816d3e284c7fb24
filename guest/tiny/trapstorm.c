/* As many exits in a row as one likes, for measuring what one costs: calls of firmware, which leave the guest
   under every technique, or with the boot argument `csr` writes of a CSR, which do under only one. `count=N`
   sets how many. */
#include "fdt.h"
#include "tiny.h"

enum { COUNT = 100000 };

static struct board board;

void main(u64 hart, const void *fdt)
{
    (void)hart;
    bool has_board = fdt_read(fdt, &board);
    const char *text = has_board ? board_option(&board, "count") : NULL;
    bool is_csr = has_board && board_option(&board, "csr");
    u64 count = text ? parse_number(text) : COUNT;
    if (is_csr)
        for (u64 i = 0; i < count; i++)
            csr_write(sscratch, i);
    else
        for (u64 i = 0; i < count; i++)
            sbi_call(SBI_BASE, 0, 0, 0, 0); /* the specification's version */
    printf("trapstorm: %lu %s\n", count, is_csr ? "CSR writes" : "SBI calls");
}
