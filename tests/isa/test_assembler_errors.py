"""A mistake in assembly source ends in one line: file, line, what is wrong and what would be right."""

from __future__ import annotations

import pytest

from hartvisor.core.errors import HartvisorError
from hartvisor.core.isa.assembler import assemble

MISTAKES = {
    "addi a0, a1, 5000": "operand 5000 of addi does not fit: -2048 to 2047 is right",
    "addi a0, a1": "expected ',' at the end of the line; usage: addi rd, rs1, imm",
    "addi a0, a1, a2": "expected a number or a symbol, and a2 is a register; usage: addi rd, rs1, imm",
    "addii a0, a1, 1": "unknown instruction 'addii'; did you mean addi?",
    "mv a0, 5": "expected a register (x0 to x31, or a name such as a0, t1, sp), not '5'; usage: mv rd, rs1",
    "nop 5": "expected the end of the line before '5'; usage: nop",
    "csrr a0, mstatsu": "unknown CSR 'mstatsu'; did you mean mstatus?",
    "csrr a0, 4096": "CSR number 4096 does not fit: 0 to 0xfff is right",
    "csrwi mie, 32": "operand 32 of csrrwi does not fit: 0 to 31 is right",
    "fence wr, r": "'wr' is no set of accesses: letters of iorw, in that order, are right",
    "lui a0, 0x100000": "upper immediate 1048576 does not fit: 0 to 0xfffff is right (bits 31 to 12 of the result)",
    "c.lui a0, 0x20": "upper immediate 0x20 of c.lui does not fit: 1 to 0x1f, or 0xfffe0 to 0xfffff, is right",
    "c.lw a0, 0(t0)": "c.lw takes only x8 to x15 (s0, s1, a0 to a5) here, not t0",
    "c.lwsp a0, 0(a1)": "c.lwsp takes only sp here, not a1",
    "c.lwsp a0, 2(sp)": "operand 2 of c.lwsp does not fit: 0 to 252, multiples of 4 is right",
    "c.addi16sp sp, 0": "c.addi16sp has no encoding with 0 as its imm",
    "c.add a0, x0": "c.add has no encoding with x0 as its rs2",
    "beq a0, a1, nowhere": "undefined symbol 'nowhere'",
    "loop: beq a0, a1, lop": "undefined symbol 'lop'; did you mean loop?",
    "beq a0, a1, . + 4096": "target's distance 4096 of beq does not fit: -4096 to 4094, multiples of 2 is right",
    "call . + (1 << 40)": "the target is +1099511627776 bytes away, out of reach: 2 GiB either way is right",
    "j 1f": "no label '1:' after this line for 1f",
    "j 1b": "no label '1:' before this line for 1b",
    "x: x: nop": "'x' is already a label; each is defined once",
    ".equ x, 1; x: nop": "'x' is already a constant; a label needs another name",
    ". = 8": "'.' is the current address; .org and .space move it",
    "sp: nop": "'sp' is a register's name; a symbol needs another",
    "li a0, later; later: nop":
        "the value of li (la loads an address) must be known here: define its symbols on an earlier line",
    "li a0, 1 << 60 << 20": "1208925819614629174706176 does not fit in 64 bits",
    "li a0": "expected ',' at the end of the line; usage: li rd, value",
    ".wrd 4": "unknown directive '.wrd'; did you mean .word?",
    ".byte 300": "300 does not fit in 1 byte",
    '.word "a"': "expected a number or a symbol before '\"a\"'",
    ".ascii 5": "expected a string such as \"text\" before '5'",
    ".equ 4": "expected a symbol's name, not '4'; usage: .equ name, value",
    ".align 40": ".align 40: it takes the power of two, 0 to 28 (.balign takes bytes)",
    ".balign 3": "alignment to 3 bytes: a power of two is right",
    ".space -1": "a size of -1 bytes: 0 to 268435456 is right",
    "nop; .org 2": ".org 2: an offset from the start, at or after the 8 bytes so far",
    ".byte 1; nop": "instruction at odd address 0x5; put .align 1 before it",
    ".word 1 / 0": "division by zero",
    ".word 1 << 64": "shift by 64: 0 to 63 is right",
    ".word 09": "09 is not octal; a decimal number has no leading 0",
    "lw a0, %high(4)(a1)": "unknown operator %high; %hi, %lo, %pcrel_hi and %pcrel_lo exist",
    '.ascii "abc': 'string without its closing "',
    "li a0, 'ab'": "a character constant is one character between single quotes, such as 'A' or '\\n'",
    "/* nop": "comment without its closing */",
    "nop ?": "unexpected character '?'",
    "5": "expected an instruction, a directive or a label, not '5'",
}


@pytest.mark.parametrize("source", MISTAKES)
def test_a_mistake_names_its_line_and_what_would_be_right(source: str) -> None:
    with pytest.raises(HartvisorError) as caught:
        assemble(f"nop\n{source}\n", file="lab.s")
    assert str(caught.value) == f"lab.s:2: {MISTAKES[source]}"
