/* The smallest guest that can be seen to run. */
#include "tiny.h"

void main(u64 hart)
{
    printf("hello from S-mode on hart %lu\n", hart);
}
