"""What each bit-manipulation instruction computes, in plain Python, from the manual's "B" and "Zicond" chapters.

As in `unprivileged`; numbers are taken apart as lists or strings of bits rather than by the tricks that the hart uses.
"""

from __future__ import annotations

from collections.abc import Callable

from .unprivileged import Binary, s, u, word


def bits(value: int, width: int = 64) -> str:
    """The bits, the highest first."""
    return f"{u(value, width):0{width}b}"


def leading(value: int, width: int) -> int:
    """How many bits are zero above the highest that is not."""
    return len(bits(value, width)) - len(bits(value, width).lstrip("0"))


def trailing(value: int, width: int) -> int:
    """How many bits are zero below the lowest that is not."""
    return len(bits(value, width)) - len(bits(value, width).rstrip("0"))


def rotated(value: int, by: int, width: int) -> int:
    """Rotated right."""
    text = bits(value, width)
    by %= width
    return int(text[width - by :] + text[: width - by], 2)


def product(a: int, b: int) -> int:
    """The carry-less product, 127 bits."""
    result = 0
    for place in range(64):
        if b >> place & 1:
            result ^= a << place
    return result


REGISTER: dict[str, Binary] = {
    "add.uw": lambda a, b: b + u(a, 32),
    "sh1add": lambda a, b: b + 2 * a,
    "sh2add": lambda a, b: b + 4 * a,
    "sh3add": lambda a, b: b + 8 * a,
    "sh1add.uw": lambda a, b: b + 2 * u(a, 32),
    "sh2add.uw": lambda a, b: b + 4 * u(a, 32),
    "sh3add.uw": lambda a, b: b + 8 * u(a, 32),
    "andn": lambda a, b: a & u(~b),
    "orn": lambda a, b: a | u(~b),
    "xnor": lambda a, b: u(~(a ^ b)),
    "min": lambda a, b: min(s(a), s(b)),
    "minu": min,
    "max": lambda a, b: max(s(a), s(b)),
    "maxu": max,
    "rol": lambda a, b: rotated(a, -b, 64),
    "ror": lambda a, b: rotated(a, b, 64),
    "rolw": lambda a, b: word(rotated(a, -b, 32)),
    "rorw": lambda a, b: word(rotated(a, b, 32)),
    "clmul": lambda a, b: u(product(a, b)),
    "clmulh": lambda a, b: product(a, b) >> 64,
    "clmulr": lambda a, b: u(product(a, b) >> 63),
    "bclr": lambda a, b: a & ~(1 << b % 64),
    "bext": lambda a, b: int(bits(a)[::-1][b % 64]),
    "binv": lambda a, b: a ^ 1 << b % 64,
    "bset": lambda a, b: a | 1 << b % 64,
    "czero.eqz": lambda a, b: 0 if b == 0 else a,
    "czero.nez": lambda a, b: 0 if b != 0 else a,
}
"""rd from rs1 and rs2."""

IMMEDIATE: dict[str, Binary] = {
    "slli.uw": lambda a, shamt: u(a, 32) << shamt,
    "rori": lambda a, shamt: rotated(a, shamt, 64),
    "roriw": lambda a, shamt: word(rotated(a, shamt, 32)),
    "bclri": REGISTER["bclr"],
    "bexti": REGISTER["bext"],
    "binvi": REGISTER["binv"],
    "bseti": REGISTER["bset"],
}
"""rd from rs1 and the shift amount."""

UNARY: dict[str, Callable[[int], int]] = {
    "clz": lambda a: leading(a, 64),
    "ctz": lambda a: trailing(a, 64),
    "cpop": lambda a: bits(a).count("1"),
    "clzw": lambda a: leading(a, 32),
    "ctzw": lambda a: trailing(a, 32),
    "cpopw": lambda a: bits(a, 32).count("1"),
    "sext.b": lambda a: s(a, 8),
    "sext.h": lambda a: s(a, 16),
    "zext.h": lambda a: u(a, 16),
    "orc.b": lambda a: int.from_bytes(bytes(0xFF if byte else 0 for byte in a.to_bytes(8, "little")), "little"),
    "rev8": lambda a: int.from_bytes(a.to_bytes(8, "little"), "big"),
    "mop.r.0": lambda a: 0,
}
"""rd from rs1."""
