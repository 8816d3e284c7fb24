/* Nothing can stop this but its budget: a loop with interrupts off. */
#include "tiny.h"

void main(void)
{
    printf("spin: for ever\n");
    csr_clear(sstatus, SSTATUS_SIE);
    csr_write(sie, 0);
    for (volatile u64 turns = 0;; turns++)
        ;
}
