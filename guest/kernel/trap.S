# Into the kernel and out again.
#
# sscratch tells where a trap came from: it holds the process's trapframe while user code runs and 0
# while the kernel does. sstatus needs no saving: a trap from U leaves SPP=0 for our sret, and a trap within
# the kernel (a fault in user_copy, an interrupt while idle) ends in an sret that leaves SPP=0 as well.
#
# The .cfi lines tell a debugger where the registers of the interrupted code are, so that it can show the stack beyond
# the trap (ELF psABI, "DWARF Register Numbers").
#define PC 64 /* the "alternate frame return column" */
#define SEPC 0x1141 /* a CSR has its number and 4096 */
#define SSCRATCH 0x1140
#define FRAME 256
    .cfi_sections .debug_frame
    .text
    .balign 4
    .globl trap_vector
trap_vector:
    .cfi_startproc simple
    .cfi_signal_frame
    .cfi_return_column PC
    .cfi_def_cfa sp, 0
    .cfi_register PC, SEPC
    csrrw   sp, sscratch, sp
    .cfi_register sp, SSCRATCH
    beqz    sp, from_kernel
    .cfi_remember_state

    .irp    n, 1,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
    sd      x\n, \n*8(sp)
    .endr
    .cfi_def_cfa_offset FRAME
    .irp    n, 1,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
    .cfi_offset \n, \n*8-FRAME
    .endr
    csrrw   t0, sscratch, zero      # the user's sp; from now on we are the kernel
    .cfi_register sp, t0
    sd      t0, 2*8(sp)
    .cfi_offset sp, 2*8-FRAME
    csrr    t1, sepc
    sd      t1, 0(sp)
    .cfi_offset PC, -FRAME
    csrr    a1, scause
    mv      a0, sp
    call    user_trap               # user_trap(frame, cause) runs below the trapframe

    .globl user_return
user_return:                        # sp = the trapframe; a new process starts here
    ld      t0, 0(sp)
    csrw    sepc, t0
    .cfi_register PC, SEPC
    csrw    sscratch, sp
    .irp    n, 1,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
    ld      x\n, \n*8(sp)
    .endr
    ld      sp, 2*8(sp)
    .cfi_def_cfa_offset 0
    .irp    n, 1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
    .cfi_same_value \n
    .endr
    sret

from_kernel:
    .cfi_restore_state
    csrrw   sp, sscratch, zero      # the kernel's sp back, and 0 again
    .cfi_same_value sp
    addi    sp, sp, -FRAME
    .cfi_def_cfa_offset FRAME
    .irp    n, 1,5,6,7,10,11,12,13,14,15,16,17,28,29,30,31
    sd      x\n, \n*8(sp)           # what a C function may change
    .cfi_offset \n, \n*8-FRAME
    .endr
    csrr    t0, sepc
    sd      t0, 0(sp)
    .cfi_offset PC, -FRAME
    csrr    a1, scause
    mv      a0, sp
    call    kernel_trap             # kernel_trap(frame, cause) may change the frame's pc
    ld      t0, 0(sp)
    csrw    sepc, t0
    .cfi_register PC, SEPC
    .irp    n, 1,5,6,7,10,11,12,13,14,15,16,17,28,29,30,31
    ld      x\n, \n*8(sp)
    .cfi_same_value \n
    .endr
    addi    sp, sp, FRAME
    .cfi_def_cfa_offset 0
    sret
    .cfi_endproc
