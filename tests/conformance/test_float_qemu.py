"""Floating-point instructions on QEMU and on our hart, with the host's arithmetic and without: the same bits and flags.

QEMU 7.2 has no Zfa; QEMU 10 has all.
"""

from __future__ import annotations

import pytest

from tests.oracles import require_oracle

from .float_cases import COMPUTATIONS
from .float_qemu import compare, end_of, on_ours, on_qemu, program

SETS = 300


@pytest.mark.parametrize(
    ("qemu", "cpu", "absent"),
    [("qemu-system-riscv64", "rv64,Zfh=true", ("Zfa",)), ("qemu-system-riscv64-10", "max", ())],
)
def test_results_and_flags_are_qemus(qemu: str, cpu: str, absent: tuple[str, ...]) -> None:
    path = require_oracle(qemu)
    names = [name for name, row in COMPUTATIONS.items() if row.extension not in absent]
    image, places = program(names, SETS, qemu)
    end = end_of(places, SETS)
    ours = on_ours(image, end)
    assert ours == on_ours(image, end, host_float=False)
    total, wrong = compare(ours, on_qemu(path, cpu, image, end), places, SETS)
    assert total > 100_000
    assert wrong == []
