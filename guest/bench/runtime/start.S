# The first instructions of every benchmark: M-mode on bare metal, at the start of RAM, as QEMU's `-bios FILE` and
# `hartvisor machine --bios FILE` enter it. Floating point is on, and physical memory open to the modes below.
    .section .text.start, "ax"
    .globl _start
_start:
    la      sp, boot_stack_top
    la      t0, bss_start
    la      t1, bss_end
1:  sd      zero, (t0)
    addi    t0, t0, 8
    bltu    t0, t1, 1b
    li      t0, 3 << 13             # mstatus.FS: dirty
    csrs    mstatus, t0
    li      t0, -1                  # one PMP entry: everything, read, write, execute
    csrw    pmpaddr0, t0
    li      t0, 0x1f
    csrw    pmpcfg0, t0
    la      t0, unexpected_trap
    csrw    mtvec, t0
    call    run
1:  j       1b

    .balign 4
unexpected_trap:
    csrr    a0, mcause
    csrr    a1, mepc
    call    trapped

# u64 call_below(u64 (*work)(void), u64 mode): call `work` in a mode below, and return what it returned. It comes back by
# an ecall with a7 = -1. Bit 8 of the mode is SPP, bit 7 SPV.
    .globl call_below
call_below:
    addi    sp, sp, -112
    sd      ra, 0(sp)
    sd      s0, 8(sp)
    sd      s1, 16(sp)
    sd      s2, 24(sp)
    sd      s3, 32(sp)
    sd      s4, 40(sp)
    sd      s5, 48(sp)
    sd      s6, 56(sp)
    sd      s7, 64(sp)
    sd      s8, 72(sp)
    sd      s9, 80(sp)
    sd      s10, 88(sp)
    sd      s11, 96(sp)
    csrw    mscratch, sp
    la      t0, below_trap
    csrw    mtvec, t0
    mv      t1, a0
    li      t0, 1 << 8
    csrc    sstatus, t0
    and     t0, a1, t0              # SPP
    csrs    sstatus, t0
    andi    t0, a1, 1 << 7          # SPV
    beqz    t0, 2f
    csrs    0x600, t0               # hstatus
2:  la      t0, 1f
    csrw    sepc, t0
    sret                            # and not mret: QEMU 10 does not let mstatus.MPV be written
1:  jalr    t1
    li      a7, -1
    ecall

    .balign 4
below_trap:                         # the only trap there may be is that ecall: causes 8 to 10
    csrr    t0, mcause
    addi    t0, t0, -8
    sltiu   t0, t0, 3
    beqz    t0, unexpected_trap
    addi    t0, a7, 1
    bnez    t0, other_call
    csrr    sp, mscratch
    la      t0, unexpected_trap
    csrw    mtvec, t0
    ld      ra, 0(sp)
    ld      s0, 8(sp)
    ld      s1, 16(sp)
    ld      s2, 24(sp)
    ld      s3, 32(sp)
    ld      s4, 40(sp)
    ld      s5, 48(sp)
    ld      s6, 56(sp)
    ld      s7, 64(sp)
    ld      s8, 72(sp)
    ld      s9, 80(sp)
    ld      s10, 88(sp)
    ld      s11, 96(sp)
    addi    sp, sp, 112
    ret

# A small system call, answered with what a handler would do at least: look at the cause, count, step over the ecall.
other_call:
    csrrw   t1, mscratch, t1
    csrrw   t1, mscratch, t1
    csrr    t0, mepc
    addi    t0, t0, 4
    csrw    mepc, t0
    add     a0, a0, a7
    mret

    .section .bss
    .balign 16
    .space  65536
boot_stack_top:
