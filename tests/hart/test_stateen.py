"""Smstateen and Ssstateen: what mstateen and hstateen close to the levels below."""

from __future__ import annotations

from itertools import product

import pytest

from hartvisor.core.isa import causes

from .bench import MODES, U64, Bench

GATED = {"senvcfg": (0, 62), "henvcfg": (0, 62), "scontext": (0, 57), "hcontext": (0, 57)}
GATED |= {f"{x}stateen{i}": (i, 63) for x in "sh" for i in range(4)}
"""CSR to the stateen registers' number and the bit that gates it."""


def verdict(name: str, mode: str, m: int, h: int) -> int | None:
    if mode == "M":
        return None
    if mode == "U" or not m:
        return causes.ILLEGAL_INSTRUCTION
    if mode == "VU" or (mode == "VS" and (name.startswith("h") or not h)):
        return causes.VIRTUAL_INSTRUCTION
    return None


@pytest.mark.parametrize("name", GATED)
def test_gates(name: str) -> None:
    number, bit = GATED[name]
    for mode, m, h in product(MODES, (0, 1), (0, 1)):
        bench = Bench(f"csrr x5, {name}", mode=mode)
        bench[f"hstateen{number}"] = h << bit
        bench[f"mstateen{number}"] = m << bit
        wanted = verdict(name, mode, m, h)
        if wanted is None:
            bench.hart.run(1)
            assert bench.hart.guest_traps == 0, (mode, m, h)
        else:
            assert bench.trap().cause == wanted, (mode, m, h)


def test_what_mstateen_closes_is_zero_in_hstateen() -> None:
    bench = Bench()
    bench["mstateen0"] = 1 << 63
    bench["hstateen0"] = U64
    assert bench["hstateen0"] == 1 << 63
    bench["mstateen0"] = 0
    assert bench["hstateen0"] == 0


def test_only_what_exists_can_be_enabled() -> None:
    bench = Bench()
    assert bench["mstateen0"] == 1 << 63 | 1 << 62 | 1 << 57
    assert bench["mstateen1"] == 1 << 63
    bench["sstateen0"] = U64
    assert bench["sstateen0"] == 0
