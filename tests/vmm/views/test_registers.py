"""Registers and CSRs as they are shown: the guest's under every technique, beside what the hart holds."""

from __future__ import annotations

import struct

import pytest

from hartvisor.core.errors import ConfigError
from hartvisor.core.isa.csr_values import field_name, meaning
from hartvisor.core.isa.csrs import BY_NAME
from hartvisor.core.isa.registers import NUMBER
from hartvisor.core.vmm.inspector import Inspector, moves
from hartvisor.core.vmm.inspector.edit import register_number, set_register
from hartvisor.core.vmm.views.csrs import CsrRow, view_csrs
from hartvisor.core.vmm.views.registers import PC, repr_float, view_float, view_registers, view_vcpus
from hartvisor.core.vmm.views.standins import CONTROLS, STANDINS
from hartvisor.core.vmm.views.telescope import CODE, DEVICE, STACK, TEXT, Telescope
from hartvisor.guest import programs

from .support import HYPERVISED, TECHNIQUES, do, inspect, look, run, tern


def in_user_mode(technique: str) -> Inspector:
    inspector = tern(technique)
    inspector.code._paths = tuple(programs())
    run(inspector, 600_000)
    while inspector.vcpu.mode or inspector.code.running(inspector.vcpu) is None:
        run(inspector, 100)
    return inspector


def rows_of(inspector: Inspector) -> dict[tuple[bool, str], CsrRow]:
    return {(row.is_guest, row.name): row for row in look(inspector, view_csrs).rows}


@pytest.mark.parametrize("technique", TECHNIQUES)
def test_registers_are_the_guests(technique: str) -> None:
    inspector = in_user_mode(technique)
    view = look(inspector, view_registers)
    hart = inspector.vcpu.hart
    assert [(row.number, row.value) for row in view.rows] == \
        [(PC, hart.pc), *((index, hart.read_gpr(index)) for index in range(1, 32))]
    assert view.mode == "U"
    assert view.rows[0].leads[0].kind == CODE
    assert {row.was for row in view.rows} == {None}


def test_what_the_guest_reads_is_the_same_under_every_technique() -> None:
    views = [in_user_mode(technique) for technique in TECHNIQUES]
    registers = [look(inspector, view_registers).rows for inspector in views]
    assert all(each == registers[0] for each in registers)
    csrs = [[(row.name, row.value, row.meaning) for row in look(inspector, view_csrs).rows if row.is_guest]
            for inspector in views]
    assert all(each == csrs[0] for each in csrs)


@pytest.mark.parametrize("technique", TECHNIQUES)
def test_what_the_last_move_changed_is_marked(technique: str) -> None:
    inspector = in_user_mode(technique)
    inspector.begin_move()
    before = (inspector.vcpu.hart.pc, *inspector.vcpu.hart.read_gprs()[1:])
    run(inspector, 20)
    rows = look(inspector, view_registers).rows
    assert [row.value if row.was is None else row.was for row in rows] == list(before)
    assert any(row.was is not None for row in rows[1:])
    assert any(row.was is None for row in rows[1:])


@pytest.mark.parametrize("technique", TECHNIQUES)
def test_a_trap_changes_csrs_and_mode(technique: str) -> None:
    inspector = in_user_mode(technique)
    inspector.begin_move()
    while not inspector.vcpu.mode:
        run(inspector, 1)
    view = look(inspector, view_registers)
    assert (view.mode, view.was_mode) == ("S", "U")
    rows = rows_of(inspector)
    assert rows[True, "sepc"].was is not None
    assert rows[True, "satp"].was is None


def test_the_hart_holds_the_guests_csrs_where_the_technique_says_so() -> None:
    rows = {technique: rows_of(in_user_mode(technique)) for technique in TECHNIQUES}
    held = {technique: {name for (is_guest, name), row in found.items()
                        if is_guest and row.hart is not None and not row.is_different and row.value}
            for technique, found in rows.items()}
    always = {"sstatus", "stvec", "sepc", "scause", "sscratch", "sie"}
    assert always | {"satp"} <= held["bare"] & held["two-stage"]
    assert always <= held["shadow"]
    assert not (always | {"satp"}) & held["deprivileged"]
    assert rows["shadow"][True, "satp"].is_different
    assert rows["two-stage"][True, "satp"].hart == ("vsatp", rows["two-stage"][True, "satp"].value)
    assert rows["deprivileged"][True, "satp"].hart[1] >> 60 == 8  # type: ignore[index]
    assert {"hstatus", "hgatp", "hedeleg", "hideleg", "hvip", "henvcfg", "hcounteren"} <= \
        {name for is_guest, name in rows["two-stage"] if not is_guest}
    assert all(not is_guest or not name.startswith("h") for is_guest, name in rows["deprivileged"]
               if not name.startswith("hpm"))


@pytest.mark.parametrize("technique", TECHNIQUES)
def test_every_row_of_the_tables_of_standins_exists_and_is_told(technique: str) -> None:
    inspector = tern(technique)
    hart = inspector.vcpu.hart
    rows = rows_of(inspector)
    for name, stand in STANDINS[technique].items():
        assert rows[True, name].why == stand.why
        assert all(hart.read_csr(BY_NAME[each].number) is not None for each in stand.names)
    assert {name for is_guest, name in rows if not is_guest} == CONTROLS[technique].keys()


@pytest.mark.parametrize("technique", HYPERVISED)
def test_fields_are_side_by_side(technique: str) -> None:
    inspector = in_user_mode(technique)
    detail = look(inspector, lambda inspection: view_csrs(inspection, (True, "sstatus"))).detail
    assert detail is not None
    assert [name for name, _ in detail.columns] == ["the guest reads", *STANDINS[technique]["sstatus"].names]
    fields = {field.name: field for field in detail.fields}
    assert fields["UXL"].names[0] == "64 bits"
    assert fields["SPIE"].is_different == (technique == "deprivileged")
    assert [field.hi for field in detail.fields] == sorted((field.hi for field in detail.fields), reverse=True)


def test_what_values_point_to_is_found() -> None:
    inspector = in_user_mode("two-stage")
    telescope = Telescope(inspector)
    symbols = inspector.code.kernel.addresses
    program = inspector.code.running(inspector.vcpu)
    assert program is not None
    found = telescope.find(symbols["trap_vector"] + 4)
    assert found is not None
    assert (found.kind, found.name) == (CODE, "trap_vector+0x4")
    found = telescope.find(program.addresses["main"])
    assert found is not None
    assert (found.kind, found.name) == (CODE, "main")
    sp = inspector.vcpu.hart.read_gpr(NUMBER["sp"])
    found = telescope.find(sp + 16)
    assert found is not None
    assert (found.kind, found.name) == (STACK, "sp+0x10")
    chain = telescope.chain(symbols["current"])
    assert chain[0].name == "current"
    assert chain[1].name.startswith("processes")
    for number in (0, 1, -1, 4095, 0x0123_4567_89AB_CDEF, 1 << 62):
        assert telescope.find(number & (1 << 64) - 1) is None


def test_texts_and_devices_are_told() -> None:
    inspector = inspect("""
        la a0, text
        la a1, long
        li a2, 0x10000000
        la a3, loop
        j .
        text: .ascii "tab\\tand \\"quotes\\"\\n"
        .byte 0
        long: .ascii "a text that is so long that nobody would read all of it, cut off"
        .byte 0
        .balign 8
        loop: .dword loop
    """, "bare")
    run(inspector, 10)
    rows = {row.name: row for row in look(inspector, view_registers).rows}
    assert (rows["a0"].leads[0].kind, rows["a0"].leads[0].text) == (TEXT, '"tab\\tand \\"quotes\\"\\n"')
    assert rows["a1"].leads[0].text.endswith('…')
    assert (rows["a2"].leads[0].kind, rows["a2"].leads[0].name) == (DEVICE, "UART+0x0")
    assert len(rows["a3"].leads) == 1  # it points to itself


@pytest.mark.parametrize("technique", TECHNIQUES)
def test_floating_point_registers_are_numbers(technique: str) -> None:
    inspector = inspect("""
        li t0, 0x6000
        csrs sstatus, t0
        li t0, 0x3ff8000000000000
        fmv.d.x fa0, t0
        li t0, 0x40490fdb
        fmv.w.x fa1, t0
        li t0, 3
        fcvt.d.l fa2, t0
        fdiv.d fa2, fa0, fa2
        j .
    """, technique)
    run(inspector, 40)
    view = look(inspector, view_float)
    rows = {row.name: (row.width, row.number) for row in view.rows}
    assert (rows["fa0"], rows["fa1"], rows["fa2"]) == ((64, "1.5"), (32, "3.1415927"), (64, "0.5"))
    assert (view.state, view.rounding, view.flags) == ("dirty", "rne", "nothing set")


def test_numbers_of_every_width_read_back_as_themselves() -> None:
    for width, code in ((16, "<e"), (32, "<f")):
        for value in range(0, 1 << width, 97 if width == 16 else 15_485_863):
            number = struct.unpack(code, value.to_bytes(width // 8, "little"))[0]
            text = repr_float(value, width)
            if number == number:
                assert struct.pack(code, float(text)) == value.to_bytes(width // 8, "little")
            else:
                assert "NaN" in text
    assert repr_float(0x7FF0_0000_0000_0001, 64) == "sNaN(0x1)"
    assert repr_float(0xFFF8_0000_0000_0000, 64) == "-qNaN"


def test_every_vcpu_is_told_of() -> None:
    inspector = tern("shadow", vcpus=2)
    run(inspector, 100_000)
    rows = look(inspector, view_vcpus).rows
    assert [(row.is_current, row.state) for row in rows] == [(True, "has the turn"), (False, "stopped")]
    assert rows[0].where


@pytest.mark.parametrize("technique", TECHNIQUES)
def test_a_register_is_changed_and_another_future_begins(technique: str) -> None:
    inspector = in_user_mode(technique)
    step = inspector.step
    run(inspector, 1000)
    do(moves.goto(inspector, step))
    assert inspector.is_past
    assert set_register(inspector, NUMBER["a0"], "-2") == "a0 is 0xfffffffffffffffe now"
    assert not inspector.is_past
    row = next(row for row in look(inspector, view_registers).rows if row.name == "a0")
    assert row.value == (1 << 64) - 2
    assert row.was is not None
    run(inspector, 10)
    assert "legal (WARL)" in set_register(inspector, register_number("stvec"), "0x80200003")
    assert inspector.target.read_csr(0, BY_NAME["stvec"].number) == 0x8020_0001
    set_register(inspector, register_number("fa0"), "1.5")
    assert next(row.number for row in look(inspector, view_float).rows if row.name == "fa0") == "1.5"


def test_values_are_called_by_name() -> None:
    assert meaning(BY_NAME["satp"], 8 << 60 | 0x80254) == "Sv39 root 0x80254000"
    assert meaning(BY_NAME["satp"], 0) == "bare"
    assert meaning(BY_NAME["scause"], 1 << 63 | 5) == "Supervisor timer interrupt"
    assert meaning(BY_NAME["sstatus"], 0x46120) == "SPIE SPP=S FS=dirty SUM"
    assert meaning(BY_NAME["stvec"], 0x8020_0001) == "vectored"
    assert meaning(BY_NAME["sepc"], 0x8020_0000) == ""
    assert meaning(BY_NAME["hgatp"], 9 << 60 | 3 << 44 | 4) == "Sv48x4 VMID=0x3 root 0x4000"
    mode = next(field for field in BY_NAME["satp"].fields if field.name == "MODE")
    assert field_name(BY_NAME["satp"], mode, 7 << 60) == "reserved"


@pytest.mark.parametrize("name", sorted(BY_NAME))
def test_every_csr_has_a_meaning_for_any_value(name: str) -> None:
    for value in (0, (1 << 64) - 1, 0x5555_5555_5555_5555):
        assert "None" not in meaning(BY_NAME[name], value)


def test_code_without_symbols_is_shown_all_the_same() -> None:
    inspector = inspect("la sp, stack\njal work\nwork: j work\nstack: .dword 0", "two-stage")
    run(inspector, 20)
    assert look(inspector, view_registers).rows[0].leads[0].kind


@pytest.mark.parametrize(("number", "text", "told"), [
    (0, "1", "zero is always 0"), (PC, "3", "even addresses"), (10, "nonsense", "no address"),
    (register_number("cycle"), "1", "cannot be written"), (register_number("mtvec"), "1", "no such register")])
def test_a_change_that_cannot_be_is_one_clear_line(number: int, text: str, told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        set_register(tern("shadow"), number, text)
