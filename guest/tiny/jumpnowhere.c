/* A jump to an address where there is no memory, with stvec as it was at reset: the trap goes nowhere too. */
#include "tiny.h"

void main(void)
{
    printf("jumpnowhere: to 0x40000000\n");
    csr_write(stvec, 0);
    ((void (*)(void))0x40000000)();
}
