# Down to user mode and up again, and where the other vCPUs start.
    .text

# u64 enter_user(program, its stack, first argument, second, u64 *saved): run a program in user mode until it calls;
# what it said in a0. The trap handler sends it to leave_user, in S-mode, with sp as it was put in *saved.
    .globl enter_user, leave_user
enter_user:
    addi    sp, sp, -112
    sd      ra, 0(sp)
    .irp    n, 0,1,2,3,4,5,6,7,8,9,10,11
    sd      s\n, 8+8*\n(sp)
    .endr
    sd      sp, (a4)
    csrw    sepc, a0
    li      t0, 0x100               # sstatus.SPP: to U-mode
    csrc    sstatus, t0
    mv      sp, a1
    mv      a0, a2
    mv      a1, a3
    sret
leave_user:
    ld      ra, 0(sp)
    .irp    n, 0,1,2,3,4,5,6,7,8,9,10,11
    ld      s\n, 8+8*\n(sp)
    .endr
    addi    sp, sp, 112
    ret

# Firmware starts a vCPU here with a0 = its number and a1 = what it was asked to hand on: the stack.
    .globl other_start
other_start:
    mv      sp, a1
    call    other_main
