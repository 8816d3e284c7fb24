/* stats: what the kernel has done since boot. */
#include "user.h"

int main(void)
{
    struct stats stats;
    get_stats(&stats);
    printf("traps     %lu timer interrupts, %lu system calls, %lu page faults, %lu in the kernel\n",
           stats.interrupts, stats.system_calls, stats.page_faults, stats.kernel_faults);
    printf("pages     %lu zero-filled, %lu loaded, %lu copied on write, %lu taken over on write\n", stats.zero_fills,
           stats.loads, stats.cow_copies, stats.cow_reuses);
    printf("switches  %lu of process, %lu of address space\n", stats.switches, stats.address_switches);
    printf("memory    %lu page-table writes, %lu fences, %lu frames in use\n", stats.pte_writes, stats.fences,
           stats.frames_in_use);
    return 0;
}
