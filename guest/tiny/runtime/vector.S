# Save everything, call *trap_handler(struct trap *, cause, value), restore everything.
# The .cfi lines tell a debugger where the interrupted code's registers are (ELF psABI, "DWARF Register Numbers").
#define PC 64 /* the "alternate frame return column" */
#define SEPC 0x1141 /* a CSR has its number and 4096 */
#define FRAME 256
    .cfi_sections .debug_frame
    .text
    .balign 4
    .globl tiny_vector
tiny_vector:
    .cfi_startproc simple
    .cfi_signal_frame
    .cfi_return_column PC
    .cfi_def_cfa sp, 0
    .cfi_register PC, SEPC
    addi    sp, sp, -FRAME
    .cfi_def_cfa_offset FRAME
    .irp    n, 1,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
    sd      x\n, \n*8(sp)
    .cfi_offset \n, \n*8-FRAME
    .endr
    addi    t0, sp, FRAME
    sd      t0, 2*8(sp)
    .cfi_offset sp, 2*8-FRAME
    csrr    t0, sepc
    sd      t0, 0(sp)
    .cfi_offset PC, -FRAME
    mv      a0, sp
    csrr    a1, scause
    csrr    a2, stval
    la      t0, trap_handler
    ld      t0, (t0)
    jalr    t0
    ld      t0, 0(sp)
    csrw    sepc, t0
    .cfi_register PC, SEPC
    .irp    n, 1,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
    ld      x\n, \n*8(sp)
    .endr
    ld      sp, 2*8(sp)
    .cfi_def_cfa_offset 0
    .irp    n, 1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
    .cfi_same_value \n
    .endr
    sret
    .cfi_endproc
