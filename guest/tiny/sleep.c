/* Asleep with no interrupt enabled and no timer set: nothing is left to wake it. */
#include "tiny.h"

void main(void)
{
    printf("sleep: good night\n");
    csr_write(sie, 0);
    for (;;)
        wfi();
}
