"""IEEE 754 as the manual's F, D, Zfh and Zfa use it, in exact rational arithmetic: the independent oracle.

Nothing here knows how the hart computes. A number is a sign and a Fraction; a result is rounded by counting quanta.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from math import isqrt

NX, UF, OF, DZ, NV = 1, 2, 4, 8, 16
RNE, RTZ, RDN, RUP, RMM = range(5)
U64 = (1 << 64) - 1


@dataclass(frozen=True)
class Format:
    """A binary interchange format: `width` bits, `precision` of the significand, exponents up to `emax`."""

    letter: str
    width: int
    precision: int
    emax: int

    @property
    def emin(self) -> int:
        return 1 - self.emax

    @property
    def infinity(self) -> int:
        return (2 * self.emax + 1) << self.precision - 1

    @property
    def nan(self) -> int:
        """The canonical NaN."""
        return self.infinity | 1 << self.precision - 2

    @property
    def sign(self) -> int:
        return 1 << self.width - 1


H, S, D = Format("h", 16, 11, 15), Format("s", 32, 24, 127), Format("d", 64, 53, 1023)
FORMATS = {"h": H, "s": S, "w": S, "d": D}
INTEGERS = {
    "w": (-(1 << 31), (1 << 31) - 1),
    "wu": (0, (1 << 32) - 1),
    "l": (-(1 << 63), (1 << 63) - 1),
    "lu": (0, U64),
}


@dataclass(frozen=True)
class Datum:
    """What bits mean: `kind` is number, infinity, quiet or signalling; the sign counts for zeros too."""

    kind: str
    negative: bool
    value: Fraction = Fraction(0)

    @property
    def is_nan(self) -> bool:
        return self.kind in ("quiet", "signalling")

    def negated(self) -> Datum:
        return Datum(self.kind, not self.negative, -self.value)


def unboxed(register: int, form: Format) -> int:
    high = (U64 >> form.width) << form.width
    return register & ((1 << form.width) - 1) if register & high == high else form.nan


def boxed(bits: int, form: Format) -> int:
    return bits | (U64 >> form.width) << form.width


def read(bits: int, form: Format) -> Datum:
    """Take a datum apart."""
    negative = bool(bits & form.sign)
    exponent, fraction = divmod(bits & form.sign - 1, 1 << form.precision - 1)
    if exponent == 2 * form.emax + 1:
        if not fraction:
            return Datum("infinity", negative)
        return Datum("quiet" if fraction >> form.precision - 2 else "signalling", negative)
    significand = fraction + (1 << form.precision - 1 if exponent else 0)
    quantum = max(exponent, 1) - form.emax - form.precision + 1
    magnitude = significand * Fraction(2) ** quantum
    return Datum("number", negative, -magnitude if negative else magnitude)


def whole(value: Fraction, mode: int) -> int:
    """The integer that `value` rounds to."""
    low = value.numerator // value.denominator
    rest = value - low
    if not rest:
        return low
    if mode == RTZ:
        return low if value > 0 else low + 1
    if mode == RDN:
        return low
    if mode == RUP:
        return low + 1
    if rest != Fraction(1, 2):
        return low + (rest > Fraction(1, 2))
    if mode == RNE:
        return low + low % 2
    return low + (value > 0)


def exponent_of(magnitude: Fraction) -> int:
    """floor(log2(magnitude))."""
    guess = magnitude.numerator.bit_length() - magnitude.denominator.bit_length()
    return guess if Fraction(2) ** guess <= magnitude else guess - 1


def rounded(value: Fraction, form: Format, mode: int, zero_negative: bool = False) -> tuple[int, int]:
    """The bits nearest to `value` as `mode` says, and the flags; `zero_negative` is the sign of an exact zero."""
    if not value:
        return (form.sign if zero_negative else 0), 0
    sign = form.sign if value < 0 else 0
    exponent = exponent_of(abs(value))
    unbounded = Fraction(2) ** (exponent - form.precision + 1)
    is_tiny = abs(whole(value / unbounded, mode) * unbounded) < Fraction(2) ** form.emin
    exponent = max(exponent, form.emin)
    quantum = Fraction(2) ** (exponent - form.precision + 1)
    count = whole(value / quantum, mode)
    result = abs(count) * quantum
    is_inexact = count * quantum != value
    if result >= Fraction(2) ** (form.emax + 1):
        to_infinity = mode in (RNE, RMM) or mode == (RDN if sign else RUP)
        return sign | form.infinity - (not to_infinity), OF | NX
    if result < Fraction(2) ** form.emin:
        bits = abs(count)
    else:
        exponent = exponent_of(result)
        significand = result / Fraction(2) ** (exponent - form.precision + 1)
        bits = (exponent + form.emax << form.precision - 1) + int(significand) - (1 << form.precision - 1)
    return sign | bits, (NX | UF * is_tiny if is_inexact else 0)


def _invalid(form: Format, *operands: Datum) -> tuple[int, int]:
    return form.nan, NV if any(operand.kind == "signalling" for operand in operands) else 0


def _infinity(form: Format, negative: bool) -> tuple[int, int]:
    return form.infinity | (form.sign if negative else 0), 0


def add(a: Datum, b: Datum, form: Format, mode: int) -> tuple[int, int]:
    if a.is_nan or b.is_nan:
        return _invalid(form, a, b)
    if a.kind == b.kind == "infinity":
        return _infinity(form, a.negative) if a.negative == b.negative else (form.nan, NV)
    if "infinity" in (a.kind, b.kind):
        return _infinity(form, a.negative if a.kind == "infinity" else b.negative)
    return rounded(a.value + b.value, form, mode, a.negative if a.negative == b.negative else mode == RDN)


def multiply(a: Datum, b: Datum, form: Format, mode: int) -> tuple[int, int]:
    negative = a.negative != b.negative
    if a.is_nan or b.is_nan:
        return _invalid(form, a, b)
    if "infinity" in (a.kind, b.kind):
        other = b if a.kind == "infinity" else a
        return (form.nan, NV) if other.kind == "number" and not other.value else _infinity(form, negative)
    return rounded(a.value * b.value, form, mode, negative)


def fuse(a: Datum, b: Datum, c: Datum, form: Format, mode: int) -> tuple[int, int]:
    negative = a.negative != b.negative
    kinds = {(a.kind, bool(a.value)), (b.kind, bool(b.value))}
    if kinds == {("infinity", False), ("number", False)}:
        return form.nan, NV
    if a.is_nan or b.is_nan or c.is_nan:
        return _invalid(form, a, b, c)
    if "infinity" in (a.kind, b.kind):
        return add(Datum("infinity", negative), c, form, mode)
    if c.kind == "infinity":
        return _infinity(form, c.negative)
    return rounded(a.value * b.value + c.value, form, mode, negative if negative == c.negative else mode == RDN)


def divide(a: Datum, b: Datum, form: Format, mode: int) -> tuple[int, int]:
    negative = a.negative != b.negative
    if a.is_nan or b.is_nan:
        return _invalid(form, a, b)
    if a.kind == "infinity":
        return (form.nan, NV) if b.kind == "infinity" else _infinity(form, negative)
    if b.kind == "infinity":
        return rounded(Fraction(0), form, mode, negative)
    if not b.value:
        return (form.nan, NV) if not a.value else (_infinity(form, negative)[0], DZ)
    return rounded(a.value / b.value, form, mode, negative)


def square_root(a: Datum, form: Format, mode: int) -> tuple[int, int]:
    if a.is_nan:
        return _invalid(form, a)
    if a.kind == "number" and not a.value:
        return rounded(a.value, form, mode, a.negative)
    if a.negative:
        return form.nan, NV
    if a.kind == "infinity":
        return _infinity(form, False)
    # 128 bits of the root, and half a unit more if there are further ones: between the same two floating-point numbers.
    shift = 2 * max(0, 128 - exponent_of(a.value) // 2)
    scaled = a.value * (1 << shift)
    floor = isqrt(scaled.numerator // scaled.denominator)
    root = Fraction(floor) if floor * floor == scaled else Fraction(2 * floor + 1, 2)
    return rounded(root / (1 << shift // 2), form, mode)


def to_integer(a: Datum, kind: str, mode: int) -> tuple[int, int]:
    """The register's value; 32-bit results are sign-extended."""
    low, high = INTEGERS[kind]
    if a.is_nan or a.kind == "infinity":
        result, flags = (low if a.negative and not a.is_nan else high), NV
    else:
        result = whole(a.value, mode)
        flags = NX if result != a.value else 0
        if not low <= result <= high:
            result, flags = (low if result < low else high), NV
    if kind == "wu":
        result -= (result >> 31 & 1) << 32
    return result & U64, flags


def to_integer_modular(a: Datum) -> tuple[int, int]:
    low = 0 if a.is_nan or a.kind == "infinity" else whole(a.value, RTZ) & 0xFFFF_FFFF
    return (low - ((low >> 31) << 32)) & U64, to_integer(a, "w", RTZ)[1]


def convert(a: Datum, form: Format, mode: int) -> tuple[int, int]:
    if a.is_nan:
        return _invalid(form, a)
    return _infinity(form, a.negative) if a.kind == "infinity" else rounded(a.value, form, mode, a.negative)


def to_integral(a: Datum, form: Format, mode: int, tells: bool) -> tuple[int, int]:
    if a.is_nan or a.kind == "infinity":
        return convert(a, form, mode)
    result = whole(a.value, mode)
    return rounded(Fraction(result), form, mode, a.negative)[0], NX if tells and result != a.value else 0


def compare(a: Datum, b: Datum, how: str) -> tuple[int, int]:
    if a.is_nan or b.is_nan:
        quiet = how in ("feq", "fltq", "fleq")
        return 0, NV if not quiet or "signalling" in (a.kind, b.kind) else 0
    x, y = (_order(datum)[:2] for datum in (a, b))
    return int({"feq": x == y, "flt": x < y, "fltq": x < y, "fle": x <= y, "fleq": x <= y}[how]), 0


def _order(a: Datum) -> tuple[int, Fraction, bool]:
    infinite = 0 if a.kind == "number" else -1 if a.negative else 1
    return infinite, a.value, not a.negative


def extreme(a: int, b: int, form: Format, how: str) -> tuple[int, int]:
    x, y = read(a, form), read(b, form)
    flags = NV if "signalling" in (x.kind, y.kind) else 0
    if x.is_nan or y.is_nan:
        if how.endswith("m") or (x.is_nan and y.is_nan):
            return form.nan, flags
        return (b if x.is_nan else a), flags
    least, greatest = sorted((a, b), key=lambda bits: _order(read(bits, form)))
    return (least if how.startswith("fmin") else greatest), flags


def classify(bits: int, form: Format) -> int:
    a = read(bits, form)
    if a.is_nan:
        return 1 << (9 if a.kind == "quiet" else 8)
    if a.kind == "infinity":
        place = 0
    elif not a.value:
        place = 3
    else:
        place = 1 if abs(a.value) >= Fraction(2) ** form.emin else 2
    return 1 << (place if a.negative else 7 - place)


def expected(name: str, mode: int, a: int, b: int = 0, c: int = 0) -> tuple[int, int]:
    """What instruction `name` leaves in its register, and the flags it raises, for the operand registers a, b, c."""
    stem, *rest = name.split(".")
    if stem == "fcvt" and rest[1] in INTEGERS and rest[0] in ("s", "d", "h"):
        low = INTEGERS[rest[1]][0]
        bits = 32 if rest[1].startswith("w") else 64
        value = a & (1 << bits) - 1
        value -= (value >> bits - 1) << bits if low else 0
        form = FORMATS[rest[0]]
        return _boxed(rounded(Fraction(value), form, mode), form)
    if stem == "fcvt" and rest[0] in INTEGERS:
        form = FORMATS[rest[1]]
        return to_integer(read(unboxed(a, form), form), rest[0], mode)
    if stem == "fcvt":
        source, form = FORMATS[rest[1]], FORMATS[rest[0]]
        return _boxed(convert(read(unboxed(a, source), source), form, mode), form)
    if stem == "fcvtmod":
        return to_integer_modular(read(a, D))
    if stem == "fmv":
        form = FORMATS[rest[1] if rest[0] == "x" else rest[0]]
        low_bits = a & (1 << form.width) - 1
        extended = low_bits - ((low_bits >> form.width - 1) << form.width) & U64
        return (extended if rest[0] == "x" else boxed(low_bits, form)), 0
    form = FORMATS[rest[0]]
    x, y, z = (unboxed(register, form) for register in (a, b, c))
    if stem in ("feq", "flt", "fle", "fltq", "fleq"):
        return compare(read(x, form), read(y, form), stem)
    if stem == "fclass":
        return classify(x, form), 0
    if stem in ("fsgnj", "fsgnjn", "fsgnjx"):
        sign = {"fsgnj": y, "fsgnjn": ~y, "fsgnjx": x ^ y}[stem] & form.sign
        return boxed(x & ~form.sign | sign, form), 0
    if re.fullmatch("f(min|max)m?", stem):
        return _boxed(extreme(x, y, form, stem), form)
    return _boxed(_ARITHMETIC[stem](read(x, form), read(y, form), read(z, form), form, mode), form)


def _boxed(result: tuple[int, int], form: Format) -> tuple[int, int]:
    return boxed(result[0], form), result[1]


_ARITHMETIC: dict[str, Callable[[Datum, Datum, Datum, Format, int], tuple[int, int]]] = {
    "fadd": lambda a, b, c, form, mode: add(a, b, form, mode),
    "fsub": lambda a, b, c, form, mode: add(a, b.negated(), form, mode),
    "fmul": lambda a, b, c, form, mode: multiply(a, b, form, mode),
    "fdiv": lambda a, b, c, form, mode: divide(a, b, form, mode),
    "fsqrt": lambda a, b, c, form, mode: square_root(a, form, mode),
    "fmadd": fuse,
    "fmsub": lambda a, b, c, form, mode: fuse(a, b, c.negated(), form, mode),
    "fnmsub": lambda a, b, c, form, mode: fuse(a.negated(), b, c, form, mode),
    "fnmadd": lambda a, b, c, form, mode: fuse(a.negated(), b, c.negated(), form, mode),
    "fround": lambda a, b, c, form, mode: to_integral(a, form, mode, False),
    "froundnx": lambda a, b, c, form, mode: to_integral(a, form, mode, True),
}
