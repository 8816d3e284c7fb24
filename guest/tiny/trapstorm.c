/* As many exits in a row as one likes, for measuring what one costs: calls of firmware, which leave the guest
   under every technique; with the boot argument `csr` writes of a CSR, which do under only one; with `mmio` loads from
   the UART's scratch register. `count=N` sets how many. */
#include "fdt.h"
#include "tiny.h"

enum { COUNT = 100000 };
#define UART_SCRATCH ((volatile u8 *)0x10000007)

static struct board board;

void main(u64 hart, const void *fdt)
{
    (void)hart;
    bool has_board = fdt_read(fdt, &board);
    const char *text = has_board ? board_option(&board, "count") : NULL;
    bool is_csr = has_board && board_option(&board, "csr");
    u64 count = text ? parse_number(text) : COUNT;
    bool is_mmio = has_board && board_option(&board, "mmio");
    if (is_mmio)
        for (u64 i = 0; i < count; i++)
            (void)*UART_SCRATCH;
    else if (is_csr)
        for (u64 i = 0; i < count; i++)
            csr_write(sscratch, i);
    else
        for (u64 i = 0; i < count; i++)
            sbi_call(SBI_BASE, 0, 0, 0, 0); /* the specification's version */
    printf("trapstorm: %lu %s\n", count, is_mmio ? "device loads" : is_csr ? "CSR writes" : "SBI calls");
}
