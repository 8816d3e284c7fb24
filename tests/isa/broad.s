# One program that both GNU as and ours assemble: the same bytes are expected. GNU as is told not to compress or relax.
        .option norelax
        .option norvc
        .equ    UART, 0x10000000
        .set    SIZE, 4 * (3 + 5) - 2
        MASK = ~0xF & 0xFF
        .globl  start
start:
        nop
        li      a0, 0
        li      a1, -2048
        li      a2, UART
        li      a3, 0x12345678
        li      a4, -559038737
        li      a5, 0x7fffffff
        li      a6, 0x800
        la      t0, message
        lla     t1, start
        mv      s0, a0
        not     s1, s0
        neg     s2, s1
        negw    s3, s2
        sext.w  s4, s3
        zext.b  s4, s3
        seqz    s5, s4
        snez    s6, s5
        sltz    s7, s6
        sgtz    s8, s7
        sgt     s9, s8, s7
        sgtu    s10, s9, s8
1:      beqz    a0, 1f
        bnez    a0, 1b
        blez    a0, 1f; bgez a1, 1b
        bltz    a0, done
        bgtz    a0, done
1:      bgt     a0, a1, 1b
        ble     a0, a1, done
        bgtu    a0, a1, 1b
        bleu    a0, a1, done
        beq     x1, x2, done
        bne     ra, sp, start
        blt     gp, tp, done
        bge     t0, t1, start
        bltu    s0, s1, done
        bgeu    fp, s1, start
        j       done
        jal     done
        jal     t0, done
        jr      t0
        jr      8(t0)
        jalr    t0
        jalr    8(t0)
        jalr    t1, 16(t0)
        jalr    t1, t0
        call    function
        tail    function
        ret
        lui     a0, 0x12345
        lui     a0, %hi(message)
        addi    a0, a0, %lo(message)
        lw      a1, %lo(message)(a0)
        sw      a1, %lo(message)(a0)
2:      auipc   a0, %pcrel_hi(message)
        addi    a0, a0, %pcrel_lo(2b)
        auipc   a0, 0xfffff
        lb      a0, 0(a1)
        lbu     a0, (a1)
        lh      a0, -1(a1)
        lhu     a0, SIZE(a1)
        lw      a0, SIZE - 1(a1)
        lwu     a0, 2 * 8(a1)
        ld      a0, 'A'(sp)
        sb      a0, -2048(a1)
        sh      a0, 2047(a1)
        sw      a0, 1 << 3 + 1(a1)
        sd      a0, (1 << 3) | 1(a1)
        addi    a0, a0, MASK & 0xF1 ^ 1
        slti    a0, a1, -1
        sltiu   a0, a1, 1
        xori    a0, a1, 0x7ff
        ori     a0, a1, 012
        andi    a0, a1, 0b101
        slli    a0, a1, 63
        srli    a0, a1, 32
        srai    a0, a1, 1
        addiw   a0, a1, -7 / 2
        slliw   a0, a1, 31
        srliw   a0, a1, 1
        sraiw   a0, a1, 0
        add     a0, a1, a2
        sub     a0, a1, a2
        sll     a0, a1, a2
        slt     a0, a1, a2
        sltu    a0, a1, a2
        xor     a0, a1, a2
        srl     a0, a1, a2
        sra     a0, a1, a2
        or      a0, a1, a2
        and     a0, a1, a2
        addw    a0, a1, a2
        subw    a0, a1, a2
        sllw    a0, a1, a2
        srlw    a0, a1, a2
        sraw    a0, a1, a2
        mul     t0, t1, t2
        mulh    t0, t1, t2
        mulhsu  t0, t1, t2
        mulhu   t0, t1, t2
        div     t0, t1, t2
        divu    t0, t1, t2
        rem     t0, t1, t2
        remu    t0, t1, t2
        mulw    t0, t1, t2
        divw    t0, t1, t2
        divuw   t0, t1, t2
        remw    t0, t1, t2
        remuw   t0, t1, t2
        lr.w    a0, (a1)
        lr.d.aq a0, 0(a1)
        sc.w.rl a0, a2, (a1)
        sc.d    a0, a2, (a1)
        amoswap.w.aqrl a0, a2, (a1)
        amoadd.d a0, a2, 0(a1)
        amomaxu.d.rl a0, a2, (a1)
        fence
        fence   rw, w
        fence   i, o
        fence.tso
        fence.i
        pause
        csrr    a0, mstatus
        csrw    mtvec, a0
        csrs    mie, a0
        csrc    mip, a0
        csrwi   sscratch, 5
        csrw    sscratch, 5
        csrsi   sstatus, 2
        csrci   sstatus, 31
        csrrw   a0, hstatus, a1
        csrrs   a0, vsatp, zero
        csrrc   a0, 0x680, a1
        csrrwi  a0, henvcfg, 1
        csrrsi  a0, pmpaddr63, 1
        csrrci  a0, mhpmevent31, 1
        rdcycle a0
        rdtime  a1
        rdinstret a2
        ecall
        ebreak
        sret
        mret
        wfi
        unimp
        sfence.vma
        sfence.vma a0
        sfence.vma a0, a1
        hfence.vvma
        hfence.gvma a0, a1
        hlv.b   a0, (a1)
        hlvx.hu a0, (a1)
        hsv.d   a0, (a1)
done:
        .option rvc
        c.nop
        c.addi  a0, -32
        c.addi4spn a0, sp, 1020
        c.addi16sp sp, -512
        c.lui   a0, 0xfffe0
        c.li    a0, 31
        c.lw    a0, 124(a5)
        c.sd    a0, 248(s0)
        c.lwsp  ra, 252(sp)
        c.sdsp  ra, 504(sp)
        c.j     done
        c.beqz  a0, done
        c.bnez  s1, 3f
        c.jr    ra
        c.jalr  t0
        c.mv    t0, t1
        c.add   t0, t1
        c.ebreak
        .option norvc
        .align  2
function:
        ret
3:      .balign 8
message:
        .string "Hi\n\x41\0\"\\"
        .asciz  "a", "b"
        .ascii  "tail # no comment; // none here /* either */"
        .byte   1, -1, 'c', '\n'
        .balign 2
        .half   0xffff, 2
        .align  3
        .word   done - start, 0xffffffff, -1
        .dword  message, function + 4, 0x123456789abcdef0
        .zero   3
        .space  2, 0xaa
        .skip   7
        .p2align 1
end:    .dword  . - start, end - message
