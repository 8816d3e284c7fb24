/* From firmware's jump to the first process. */
#include "kernel.h"
#include "fdt.h"

extern char image_end[];

static struct board board;
struct stats stats;

_Noreturn void panic(const char *why)
{
    printf("tern: panic: %s\n", why);
    sbi_poweroff();
}

_Noreturn void power_off(void)
{
    if (board_option(&board, "stats")) {
        printf("tern: %lu timer interrupts, %lu system calls, %lu page faults and %lu from the kernel\n",
               stats.interrupts, stats.system_calls, stats.page_faults, stats.kernel_faults);
        printf("tern: %lu switches, %lu of address space, %lu page-table writes, %lu fences\n", stats.switches,
               stats.address_switches, stats.pte_writes, stats.fences);
    }
    printf("tern: power off\n");
    sbi_poweroff();
}

/* The kernel's own options are `hz=N`, the timer's frequency, and `stats`; init reads the rest. */
static u64 timer_frequency(void)
{
    const char *hertz = board_option(&board, "hz");
    if (hertz && parse_number(hertz) > 0)
        return parse_number(hertz);
    return board_option(&board, "workload") ? 1000 : 100;
}

void main(u64 hart, const void *fdt)
{
    (void)hart;
    csr_clear(sstatus, SSTATUS_SIE | SSTATUS_SPP | SSTATUS_SUM | SSTATUS_MXR);
    csr_write(sie, 0);
    csr_write(scounteren, 0);
    trap_init();
    if (!fdt_read(fdt, &board) || board.memory_size == 0 || board.timebase == 0)
        panic("the device tree names no memory or no timebase-frequency");

    printf("tern: a small teaching kernel\n");
    frame_init((u64)image_end, board.memory_base + board.memory_size);
    kernel_map(board.memory_base + board.memory_size);
    printf("tern: Sv39 paging on, %u files in the ramdisk\n", ramdisk_count());

    const char *arguments[] = {"init", board.bootargs};
    current = process_create("init");
    if (current == NULL || exec("init", LENGTH(arguments), arguments) < 0)
        panic("cannot start init");
    struct file *console = file_create(FILE_CONSOLE);
    console->references = 3;
    current->files[0] = current->files[1] = current->files[2] = console;

    clock_init(board.timebase, timer_frequency());
    schedule_start();
}
