"""Addresses by name: numbers, registers, symbols, source lines, and offsets from them."""

from __future__ import annotations

import pytest

from hartvisor.core.errors import ConfigError
from hartvisor.core.isa.csrs import BY_NAME
from hartvisor.core.machine.loader import load_image
from hartvisor.core.vmm.inspector import Inspector
from hartvisor.core.vmm.inspector.names import resolve, words
from hartvisor.core.vmm.walker import USER
from hartvisor.guest import image

from .test_code import start

SYMBOLS = load_image(image("kernel")).symbols


def in_user_mode() -> Inspector:
    inspector = start("two-stage")
    while inspector.vcpu.mode != USER or inspector.code.running(inspector.vcpu) is None:
        inspector.vm.run(1_000)
    return inspector


def test_numbers_registers_and_symbols_name_addresses() -> None:
    inspector = start("deprivileged")
    inspector.vm.run(10_000)
    hart = inspector.vcpu.hart
    expected = {
        "0x80200000": 0x80200000, "80_200": 80200, "-8": 2**64 - 8, "main": SYMBOLS["main"], "*main": SYMBOLS["main"],
        "main+8": SYMBOLS["main"] + 8, "main - 0x10": SYMBOLS["main"] - 16, "sp": hart.read_gpr(2),
        "$a0": hart.read_gpr(10), "x10+1": hart.read_gpr(10) + 1, "pc": hart.pc, "processes": SYMBOLS["processes"],
        "ffffffff80000000": 0xFFFF_FFFF_8000_0000,
        "stvec": inspector.target.read_csr(0, BY_NAME["stvec"].number)}
    assert {text: resolve(inspector, text) for text in expected} == expected


def test_a_source_line_names_its_first_instruction() -> None:
    inspector = start("bare")
    line = inspector.code.line(inspector.vcpu, SYMBOLS["schedule"])
    assert line is not None
    assert resolve(inspector, f"schedule.c:{line.line}") == SYMBOLS["schedule"]
    assert resolve(inspector, f"kernel/schedule.c:{line.line}+4") == SYMBOLS["schedule"] + 4


def test_names_of_the_program_that_runs_are_known_in_its_address_space_alone() -> None:
    inspector = in_user_mode()
    program = inspector.code.running(inspector.vcpu)
    assert program is not None
    assert resolve(inspector, "main") == program.addresses["main"] < 0x1000_0000
    assert resolve(inspector, "trap_vector") == SYMBOLS["trap_vector"]
    assert "run_sort" in words(inspector) or program.name != "workload"
    assert {"main", "trap_vector"} <= set(words(inspector))


@pytest.mark.parametrize("text", ["nowhere", "main.c", "main.c:99999", "nothing.c:1", "mtvec", "", "main+", "0x"])
def test_what_names_nothing_is_one_clear_line(text: str) -> None:
    with pytest.raises(ConfigError) as told:
        resolve(start("bare"), text)
    assert "\n" not in str(told.value)
