"""The tiny guests do on QEMU what they do on ours, as far as the two machines are meant to be alike."""

from __future__ import annotations

import pytest

from hartvisor.guest import images
from tests.guest.qemu import expected, run_on_qemu

WITHOUT_H = ("-cpu", "rv64,h=off")
SAME = ["hello", "user-mode", "float", "bare-paging", "sum-mxr", "churn", "selfmod", "ticks", "mmio", "trapstorm",
        "exits"]


@pytest.mark.parametrize("name", SAME)
def test_prints_the_expected_text(name: str) -> None:
    assert run_on_qemu(name) == expected(name)


def test_illegal_instructions_trap_alike() -> None:
    """All but EBREAK's stval, which the manual lets a hart leave zero."""
    text = run_on_qemu("illegal", options=WITHOUT_H)
    assert text.replace("stval is zero", "stval is its pc") == expected("illegal")


def test_atomics_behave_alike() -> None:
    """All but the cause of a misaligned AMO: QEMU 7.2 says load, the manual store/AMO."""
    amo = f"{'amoadd.d at a multiple of 4':44} scause "
    assert run_on_qemu("atomics").replace(f"{amo}4", f"{amo}6") == expected("atomics")


def test_csr_tour_ends_by_itself() -> None:
    """What it prints is the hart's own: QEMU's has F, H and more."""
    lines = run_on_qemu("csr-tour").splitlines()
    assert lines[0].startswith("stvec")
    assert "time       can be read, cannot be written" in lines
    assert not any("illegal" in line for line in lines)


@pytest.mark.parametrize("name", ["trapstorm", "churn"])
def test_count_is_a_boot_argument(name: str) -> None:
    assert f"{name}: 123 " in run_on_qemu(name, append="count=123")


def test_trapstorm_can_storm_by_csr_writes() -> None:
    assert run_on_qemu("trapstorm", append="csr count=10") == "trapstorm: 10 CSR writes\n"


@pytest.mark.parametrize("name", [info.name for info in images() if not info.powers_off])
def test_guest_that_never_ends_prints_its_line_and_stays(name: str) -> None:
    assert run_on_qemu(name, seconds=0.7).startswith(f"{name}: ")
