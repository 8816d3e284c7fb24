# Save everything, call *trap_handler(struct trap *, cause, value), restore everything.
    .text
    .balign 4
    .globl tiny_vector
tiny_vector:
    addi    sp, sp, -256
    .irp    n, 1,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
    sd      x\n, \n*8(sp)
    .endr
    addi    t0, sp, 256
    sd      t0, 2*8(sp)
    csrr    t0, sepc
    sd      t0, 0(sp)
    mv      a0, sp
    csrr    a1, scause
    csrr    a2, stval
    la      t0, trap_handler
    ld      t0, (t0)
    jalr    t0
    ld      t0, 0(sp)
    csrw    sepc, t0
    .irp    n, 1,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
    ld      x\n, \n*8(sp)
    .endr
    ld      sp, 2*8(sp)
    sret
