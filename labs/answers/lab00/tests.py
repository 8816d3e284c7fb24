"""Lab 0: the reference tests."""

from __future__ import annotations

from typing import Any


def test_sign_extend(subject: Any) -> None:
    """Bits above are ignored."""
    assert subject.sign_extend(0xFFFF_F7FF, 12) == 0x7FF
    assert subject.sign_extend(0x800, 12) == -2048
    assert subject.sign_extend(0x1_0FFF, 12) == -1


def test_store(subject: Any) -> None:
    """sd a0, -8(sp)."""
    assert subject.decode(0xFEA1_3C23).imm == -8


def test_branch(subject: Any) -> None:
    """beq x0, x0, with bit 11, then bit 12 of the offset set."""
    assert subject.decode(0x0000_00E3).imm == 2048
    assert subject.decode(0x8000_0063).imm == -4096


def test_shift(subject: Any) -> None:
    """slli a0, a0, 40."""
    assert subject.decode(0x0285_1513).imm == 40


def test_nothing(subject: Any) -> None:
    """funct7 decides."""
    assert subject.decode(0x00C5_8533).name == "add"
    assert subject.decode(0x7EC5_8533) is None


def test_encode(subject: Any) -> None:
    """2048 does not fit."""
    operands = subject.decode(0x0055_0513)
    assert subject.encode(operands) == 0x0055_0513
    try:
        subject.encode(type(operands)("addi", 10, 10, 0, 2048))
    except ValueError:
        return
    raise AssertionError("addi a0, a0, 2048 is no instruction")
