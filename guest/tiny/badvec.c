/* A trap vector that itself traps: no instruction ever retires again, only traps follow one another. */
#include "tiny.h"

static const _Alignas(4) u32 vector[] = {0}; /* an illegal instruction */

void main(void)
{
    printf("badvec: the next trap is the first of many\n");
    csr_write(stvec, vector);
    asm volatile("ebreak");
}
