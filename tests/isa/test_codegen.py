"""The generated Cython constants say what the tables say."""

from __future__ import annotations

import re

from hartvisor.core.isa import causes, csrs, paging
from hartvisor.core.isa.codegen import cython_constants
from hartvisor.core.isa.instructions import OP_BY_NAME, OPS

TEXT = cython_constants()
NUMBERS = {name: int(value) for name, value in re.findall(r"^    (\w+) = (\d+)$", TEXT, re.MULTILINE)}
MASKS = {name: int(value, 16) for name, value in re.findall(r"#define (\w+) (0x[0-9A-F]+)ULL", TEXT)}


def test_each_constant_is_defined_once() -> None:
    names = re.findall(r"^    (\w+) = ", TEXT, re.MULTILINE) + re.findall(r"#define (\w+)", TEXT)
    assert len(set(names)) == len(names)
    assert set(re.findall(r"const unsigned long long (\w+)", TEXT)) == set(MASKS)


def test_instructions_have_their_ids() -> None:
    assert NUMBERS["N_OPS"] == len(OPS)
    assert NUMBERS["OP_AMOADD_W"] == OP_BY_NAME["amoadd.w"]
    assert sum(name.startswith("OP_") for name in NUMBERS) == len(OPS)


def test_csrs_causes_and_entries_have_their_numbers() -> None:
    assert NUMBERS["CSR_HGATP"] == 0x680
    assert MASKS["MSTATUS_MIE"] == 1 << 3
    assert MASKS["HSTATUS_SPVP"] == 1 << 8
    assert MASKS["SATP_MODE"] >> NUMBERS["SATP_MODE_SHIFT"] == 15
    assert NUMBERS["CAUSE_STORE_GUEST_PAGE_FAULT"] == causes.STORE_GUEST_PAGE_FAULT == 23
    assert NUMBERS["IRQ_SGEI"] == causes.SGEI == 12
    assert MASKS["PTE_PPN"] == paging.PTE_PPN


def test_every_field_has_a_mask() -> None:
    expected = {f"{csr.name.upper()}_{field.name}": field.mask for csr in csrs.CSRS for field in csr.fields}
    assert expected.items() <= MASKS.items()
