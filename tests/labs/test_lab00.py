"""Lab 0: wrong answers lose the right points, at the right place."""

from __future__ import annotations

import pytest

from hartvisor.labs.lab00_decode import versions
from tests.labs.support import changed, judge, lost, one

DECODES = {"decode-all", "decode-illegal"}

WRONG = {
    "sign extension looks at bits above": (
        {"(value & 2 * sign - 1 ^ sign) - sign": "value - 2 * sign if value & sign else value"},
        {"sign-extend", "constants"}, ("sign-extend", "result")),
    "a branch's offset is not signed": (
        {'"B": 13, "U"': '"U"'}, {"decode-jumps", "encode", "encode-refuses"} | DECODES, ("decode-jumps", "imm")),
    "bit 11 of a jump is lost": (
        {"(20, 1, 11), (12, 8, 12)": "(12, 8, 12)"}, {"decode-jumps", "encode"} | DECODES, ("decode-jumps", "imm")),
    "shift amounts of five bits": (
        {'"I-shift": ((20, 6, 0),)': '"I-shift": ((20, 5, 0),)'},
        {"decode-upper", "encode", "constants", "decode-all"}, ("decode-upper", "imm")),
    "CSR numbers are signed": (
        {'{"I": 12, "S": 12': '{"I": 12, "csr": 12, "S": 12'},
        {"decode-upper", "encode", "decode-all"}, ("decode-upper", "imm")),
    "the first row that matches": (
        {"key=lambda row: -row.mask": "key=lambda row: row.mask"}, {"decode-all", "decode-registers"},
        ("decode-all", "name")),
    "encode cuts what does not fit": (
        {'            raise ValueError(f"{operands.imm} does not fit")': "            pass"}, {"encode-refuses"}, None),
    "five instructions too many": (
        {"return [self.encode(each) for each in self._steps(sign_extend(value, 64))]":
         'return [0x13] * 5 + [self.encode(each) for each in self._steps(sign_extend(value, 64))]'},
        {"constants"}, None),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_answer(name: str) -> None:
    changes, missing, place = WRONG[name]
    result = judge(0, changed(0, changes))
    assert lost(result) >= missing - {"decode-illegal"}
    assert lost(result) <= missing | {"decode-illegal", "decode-all"}
    if place is not None:
        found = one(result, place[0]).first_divergence
        assert found is not None
        assert found.field == place[1]


def test_a_band_gives_part_of_the_points() -> None:
    more = {"return [self.encode(each) for each in self._steps(sign_extend(value, 64))]":
            'return [0x13] + [self.encode(each) for each in self._steps(sign_extend(value, 64))]'}
    check = one(judge(0, changed(0, more), names=("constants",)))
    assert 0 < check.points < check.max


@pytest.mark.parametrize("name", versions.BROKEN)
def test_each_broken_version_differs(name: str) -> None:
    """From the right one, on some word, operands or value that the manual's pictures suggest."""
    right, broken = versions.Right(), versions.VERSIONS[name]()
    words = (0xFEA13C23, 0x000000E3, 0x80000063, 0x02851513, 0x7EC58533, 0xFFF50513)
    differs = [word for word in words if right.decode(word) != broken.decode(word)]  # type: ignore[attr-defined]
    assert differs or name in ("wraps", "narrow")
