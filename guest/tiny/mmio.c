/* Devices by their registers: the 16550 UART, first polled, then by its transmitter-empty interrupt through the
   PLIC, and the test finisher to power off. Addresses and the interrupt's number are those of QEMU virt. */
#include "tiny.h"

#define UART 0x10000000ul
enum { UART_THR = 0, UART_IER = 1, UART_IIR = 2, UART_LSR = 5 };
enum { IER_THR_EMPTY = 2, LSR_THR_EMPTY = 0x20, UART_IRQ = 10 };
#define PLIC 0x0c000000ul
#define PLIC_PRIORITY(irq) (PLIC + 4 * (irq))
#define PLIC_ENABLE (PLIC + 0x2000 + 0x80) /* context 1: S-mode of hart 0 */
#define PLIC_THRESHOLD (PLIC + 0x200000 + 0x1000)
#define PLIC_CLAIM (PLIC_THRESHOLD + 4)
#define FINISHER 0x100000ul
enum { FINISHER_PASS = 0x5555 };

static const char text[] = "mmio: and this by interrupts\n";
static volatile u64 sent, interrupts;

static u8 uart_read(u64 offset) { return *(volatile u8 *)(UART + offset); }
static void uart_write(u64 offset, u8 value) { *(volatile u8 *)(UART + offset) = value; }
static u32 read_word(u64 gpa) { return *(volatile u32 *)gpa; }
static void write_word(u64 gpa, u32 value) { *(volatile u32 *)gpa = value; }

static void handle(struct trap *trap, u64 cause, u64 value)
{
    u32 irq = cause == IRQ_S_EXTERNAL ? read_word(PLIC_CLAIM) : 0;
    if (irq != UART_IRQ) {
        printf("mmio: scause %lx, sepc %lx, stval %lx, irq %u\n", cause, trap->x[0], value, irq);
        sbi_poweroff();
    }
    interrupts++;
    uart_read(UART_IIR); /* takes a transmitter-empty interrupt back */
    if (sent < sizeof text - 1)
        uart_write(UART_THR, (u8)text[sent++]);
    else
        uart_write(UART_IER, 0);
    write_word(PLIC_CLAIM, irq);
}

static void polled(const char *at)
{
    for (; *at; at++) {
        while (!(uart_read(UART_LSR) & LSR_THR_EMPTY))
            ;
        uart_write(UART_THR, (u8)*at);
    }
}

void main(void)
{
    polled("mmio: this line is polled\n");
    on_trap(handle);
    write_word(PLIC_PRIORITY(UART_IRQ), 1);
    write_word(PLIC_ENABLE, 1u << UART_IRQ);
    write_word(PLIC_THRESHOLD, 0);
    csr_write(sie, SIP_SEIP);
    uart_write(UART_IER, IER_THR_EMPTY);
    csr_set(sstatus, SSTATUS_SIE);
    while (sent < sizeof text - 1)
        ;
    csr_clear(sstatus, SSTATUS_SIE);
    uart_write(UART_IER, 0);
    polled(interrupts >= sizeof text - 1 ? "mmio: an interrupt for each byte\n" : "mmio: too few interrupts\n");
    write_word(FINISHER, FINISHER_PASS);
    for (;;)
        wfi();
}
