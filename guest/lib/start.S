# The first instructions of every guest. Firmware enters here in S-mode with paging off,
# a0 = hart id and a1 = address of the device tree (SBI specification, RISC-V boot convention).
    .section .text.start, "ax"
    .globl _start
_start:
    la      sp, boot_stack_top
    la      t0, bss_start
    la      t1, bss_end
1:  sd      zero, (t0)              # the linker script aligns both ends to 16 bytes
    addi    t0, t0, 8
    bltu    t0, t1, 1b
    call    main                    # main(hart id, device tree)
    call    sbi_poweroff            # a guest whose main returns is done

    .section .bss
    .balign 16
    .space  16384
    .globl boot_stack_top
boot_stack_top:
