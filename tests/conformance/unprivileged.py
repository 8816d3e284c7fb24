"""What each unprivileged instruction computes, in plain Python, from the unprivileged manual's sentences.

Registers hold 0 to 2**64 - 1. `s(value, bits)` reads the low bits as two's complement.
"""

from __future__ import annotations

from collections.abc import Callable

U64 = (1 << 64) - 1


def s(value: int, bits: int = 64) -> int:
    """The low `bits` bits as a signed number."""
    value &= (1 << bits) - 1
    return value - (value >> bits - 1 << bits)


def u(value: int, bits: int = 64) -> int:
    """The low `bits` bits as an unsigned number."""
    return value & (1 << bits) - 1


def word(value: int) -> int:
    """A 32-bit result, sign-extended to 64 bits, as every W instruction gives."""
    return s(value, 32) & U64


def quotient(a: int, b: int) -> int:
    """Division that rounds towards zero; by zero it gives -1."""
    if b == 0:
        return -1
    return abs(a) // abs(b) * (1 if (a < 0) == (b < 0) else -1)


def rest(a: int, b: int) -> int:
    """The remainder, with the dividend's sign; by zero it is the dividend."""
    return a - b * quotient(a, b) if b else a


Binary = Callable[[int, int], int]

REGISTER: dict[str, Binary] = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "sll": lambda a, b: a << b % 64,
    "slt": lambda a, b: s(a) < s(b),
    "sltu": lambda a, b: a < b,
    "xor": lambda a, b: a ^ b,
    "srl": lambda a, b: a >> b % 64,
    "sra": lambda a, b: s(a) >> b % 64,
    "or": lambda a, b: a | b,
    "and": lambda a, b: a & b,
    "addw": lambda a, b: word(a + b),
    "subw": lambda a, b: word(a - b),
    "sllw": lambda a, b: word(a << b % 32),
    "srlw": lambda a, b: word(u(a, 32) >> b % 32),
    "sraw": lambda a, b: word(s(a, 32) >> b % 32),
    "mul": lambda a, b: a * b,
    "mulh": lambda a, b: s(a) * s(b) >> 64,
    "mulhsu": lambda a, b: s(a) * b >> 64,
    "mulhu": lambda a, b: a * b >> 64,
    "div": lambda a, b: quotient(s(a), s(b)),
    "divu": lambda a, b: quotient(a, b),
    "rem": lambda a, b: rest(s(a), s(b)),
    "remu": lambda a, b: rest(a, b),
    "mulw": lambda a, b: word(a * b),
    "divw": lambda a, b: word(quotient(s(a, 32), s(b, 32))),
    "divuw": lambda a, b: word(quotient(u(a, 32), u(b, 32))),
    "remw": lambda a, b: word(rest(s(a, 32), s(b, 32))),
    "remuw": lambda a, b: word(rest(u(a, 32), u(b, 32))),
}
"""rd from rs1 and rs2."""

IMMEDIATE: dict[str, Binary] = {
    "addi": lambda a, imm: a + imm,
    "slti": lambda a, imm: s(a) < imm,
    "sltiu": lambda a, imm: a < u(imm),
    "xori": lambda a, imm: a ^ u(imm),
    "ori": lambda a, imm: a | u(imm),
    "andi": lambda a, imm: a & u(imm),
    "slli": lambda a, imm: a << imm,
    "srli": lambda a, imm: a >> imm,
    "srai": lambda a, imm: s(a) >> imm,
    "addiw": lambda a, imm: word(a + imm),
    "slliw": lambda a, imm: word(a << imm),
    "srliw": lambda a, imm: word(u(a, 32) >> imm),
    "sraiw": lambda a, imm: word(s(a, 32) >> imm),
}
"""rd from rs1 and the sign-extended immediate (for shifts, the shift amount)."""

TAKEN: dict[str, Callable[[int, int], bool]] = {
    "beq": lambda a, b: a == b,
    "bne": lambda a, b: a != b,
    "blt": lambda a, b: s(a) < s(b),
    "bge": lambda a, b: s(a) >= s(b),
    "bltu": lambda a, b: a < b,
    "bgeu": lambda a, b: a >= b,
}
"""Whether a branch on rs1 and rs2 is taken."""

LOADS = {
    "lb": (1, True),
    "lh": (2, True),
    "lw": (4, True),
    "ld": (8, True),
    "lbu": (1, False),
    "lhu": (2, False),
    "lwu": (4, False),
}
"""Size in bytes, and whether the loaded value is sign-extended."""

STORES = {"sb": 1, "sh": 2, "sw": 4, "sd": 8}
"""Size in bytes."""

AMOS: dict[str, Callable[[int, int, int], int]] = {
    "amoswap": lambda old, operand, bits: operand,
    "amoadd": lambda old, operand, bits: old + operand,
    "amoxor": lambda old, operand, bits: old ^ operand,
    "amoand": lambda old, operand, bits: old & operand,
    "amoor": lambda old, operand, bits: old | operand,
    "amomin": lambda old, operand, bits: min(old, operand, key=lambda value: s(value, bits)),
    "amomax": lambda old, operand, bits: max(old, operand, key=lambda value: s(value, bits)),
    "amominu": lambda old, operand, bits: min(old, operand, key=lambda value: u(value, bits)),
    "amomaxu": lambda old, operand, bits: max(old, operand, key=lambda value: u(value, bits)),
}
"""What an AMO stores, from the old value in memory, rs2, and the operand's width."""
