# user_copy(to a0, from a1, length a2) -> 0, or -1 if user memory could not be touched. One of the two
# is a user address: the caller has opened user memory (sstatus.SUM). A fault between user_copy and
# user_copy_end comes to kernel_trap, which makes the page present or sends us to user_copy_fault.
    .cfi_sections .debug_frame
    .text
    .globl user_copy, user_copy_fault, user_copy_end
user_copy:
    .cfi_startproc
    add     t0, a1, a2              # where `from` ends
    or      t1, a0, a1
    andi    t1, t1, 7
    bnez    t1, bytes               # words only if both are aligned
    addi    t2, t0, -7
words:
    bgeu    a1, t2, bytes
    ld      t1, (a1)
    sd      t1, (a0)
    addi    a1, a1, 8
    addi    a0, a0, 8
    j       words
bytes:
    bgeu    a1, t0, done
    lbu     t1, (a1)
    sb      t1, (a0)
    addi    a1, a1, 1
    addi    a0, a0, 1
    j       bytes
done:
    li      a0, 0
    ret
user_copy_end:
user_copy_fault:
    li      a0, -1
    ret
    .cfi_endproc
