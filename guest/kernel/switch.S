# swap_context(save a0, load a1): leave one kernel stack and go on on another. Only the registers a C
# function must preserve are kept: our caller has saved the rest.
    .cfi_sections .debug_frame
    .text
    .globl swap_context
swap_context:
    .cfi_startproc
    sd      ra, 0(a0)
    sd      sp, 8(a0)
    .irp    n, 0,1,2,3,4,5,6,7,8,9,10,11
    sd      s\n, 16+\n*8(a0)
    .endr
    .cfi_def_cfa a1, 0              # here the caller becomes the other context's
    .cfi_offset ra, 0
    .cfi_offset sp, 8
    .irp    n, 0,1,2,3,4,5,6,7,8,9,10,11
    .cfi_offset s\n, 16+\n*8
    .endr
    ld      ra, 0(a1)
    ld      sp, 8(a1)
    .irp    n, 0,1,2,3,4,5,6,7,8,9,10,11
    ld      s\n, 16+\n*8(a1)
    .endr
    ret
    .cfi_endproc
