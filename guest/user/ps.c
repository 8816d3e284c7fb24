/* ps: the processes. State R is ready or running, S sleeping, Z ended but not yet waited for. */
#include "user.h"

int main(void)
{
    static struct process_info processes[48];
    i64 count = ps(processes, LENGTH(processes));
    printf("  pid parent state pages name\n");
    for (i64 i = 0; i < count; i++)
        printf("%5u %6u %c     %5u %s\n", processes[i].pid, processes[i].parent, processes[i].state,
               processes[i].pages, processes[i].name);
    return 0;
}
