# A program's first instructions: the kernel has put argc into a0, argv into a1 and the stack into sp.
    .text
    .globl _start
_start:
    call    main
    call    exit                    # with main's result
