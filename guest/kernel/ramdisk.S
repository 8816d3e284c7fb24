# The archive of files, as guest/build.py made it.
    .section .rodata
    .balign 4096
    .globl ramdisk
ramdisk:
    .incbin "ramdisk.img"
