"""Paging formats: address splits and entries as the manual draws them."""

from __future__ import annotations

from hartvisor.core.isa import causes, paging
from hartvisor.core.isa.paging import SV39, SV39X4


def test_sv39_translates_39_bits_from_a_4_kib_root() -> None:
    assert (SV39.address_bits, SV39.root_size, SV39.mode) == (39, 4096, 8)
    gva = 0x1FF << 30 | 0x123 << 21 | 0x0AB << 12 | 0xCDE
    assert [SV39.index(gva, level) for level in (2, 1, 0)] == [0x1FF, 0x123, 0x0AB]


def test_sv39x4_translates_41_bits_from_a_16_kib_root() -> None:
    assert (SV39X4.address_bits, SV39X4.root_size, SV39X4.mode) == (41, 16384, 8)
    assert SV39X4.index(0x7FF << 30, 2) == 0x7FF


def test_a_gva_is_sign_extended_and_a_gpa_zero_extended() -> None:
    assert SV39.is_canonical(0x3F_FFFF_FFFF) and SV39.is_canonical(0xFFFF_FFC0_0000_0000)
    assert not SV39.is_canonical(0x40_0000_0000)
    assert SV39X4.is_canonical((1 << 41) - 1) and not SV39X4.is_canonical(1 << 41)


def test_entry_fields_cover_64_bits_once() -> None:
    assert sum(field.mask for field in paging.PTE_FIELDS) == (1 << 64) - 1


def test_an_entry_is_a_page_number_and_flags() -> None:
    pte = paging.make_pte(0x8020_0000, paging.PTE_V | paging.PTE_R | paging.PTE_A)
    assert pte == 0x80200 << 10 | 0b1000011
    assert paging.ppn(pte) == 0x80200


def test_causes_describe_themselves() -> None:
    assert causes.describe(15) == "Store/AMO page fault"
    assert causes.describe(causes.INTERRUPT_BIT | 5) == "Supervisor timer interrupt"
    assert causes.describe(14) == "exception 14 (reserved or custom)"
