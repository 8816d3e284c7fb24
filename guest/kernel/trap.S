# Into the kernel and out again.
#
# sscratch tells where a trap came from: it holds the process's trapframe while user code runs and 0
# while the kernel does. sstatus needs no saving: a trap from U leaves SPP=0 for our sret, and a trap within
# the kernel (a fault in user_copy, an interrupt while idle) ends in an sret that leaves SPP=0 as well.
    .text
    .balign 4
    .globl trap_vector
trap_vector:
    csrrw   sp, sscratch, sp
    beqz    sp, from_kernel

    .irp    n, 1,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
    sd      x\n, \n*8(sp)
    .endr
    csrrw   t0, sscratch, zero      # the user's sp; from now on we are the kernel
    sd      t0, 2*8(sp)
    csrr    t1, sepc
    sd      t1, 0(sp)
    csrr    a1, scause
    mv      a0, sp
    call    user_trap               # user_trap(frame, cause) runs below the trapframe

    .globl user_return
user_return:                        # sp = the trapframe; a new process starts here
    ld      t0, 0(sp)
    csrw    sepc, t0
    csrw    sscratch, sp
    .irp    n, 1,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
    ld      x\n, \n*8(sp)
    .endr
    ld      sp, 2*8(sp)
    sret

from_kernel:
    csrrw   sp, sscratch, zero      # the kernel's sp back, and 0 again
    addi    sp, sp, -256
    .irp    n, 1,5,6,7,10,11,12,13,14,15,16,17,28,29,30,31
    sd      x\n, \n*8(sp)           # what a C function may change
    .endr
    csrr    t0, sepc
    sd      t0, 0(sp)
    csrr    a1, scause
    mv      a0, sp
    call    kernel_trap             # kernel_trap(frame, cause) may change the frame's pc
    ld      t0, 0(sp)
    csrw    sepc, t0
    .irp    n, 1,5,6,7,10,11,12,13,14,15,16,17,28,29,30,31
    ld      x\n, \n*8(sp)
    .endr
    addi    sp, sp, 256
    sret
