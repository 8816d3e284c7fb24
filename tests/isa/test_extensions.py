"""ISA strings: what they name, in which order they are written, and what is said of those that name nothing."""

from __future__ import annotations

import pytest

from hartvisor.core.errors import OptionError
from hartvisor.core.isa import csrs, extensions
from hartvisor.core.isa.extensions import BY_NAME, DEFAULT_ISA, close, format_isa, misa_bits, parse_isa, without
from hartvisor.core.isa.instructions import INSTRUCTIONS

BASE = {"I", "S", "U", "Zicsr"}


@pytest.mark.parametrize(("text", "names"), [
    ("rv64i", set()),
    ("RV64IM", {"M", "Zmmul"}),
    ("rv64im_zicsr_zifencei", {"M", "Zmmul", "Zifencei"}),
    ("rv64imzifencei", {"M", "Zmmul", "Zifencei"}),
    ("rv64i2p1_m2p0_zicntr2p0", {"M", "Zmmul", "Zicntr"}),
    ("rv64ia", {"A", "Zaamo", "Zalrsc"}),
    ("rv64i_zalrsc", {"Zalrsc"}),
    ("rv64i_zaamo_zalrsc", {"A", "Zaamo", "Zalrsc"}),
    ("rv64i_zca", {"C", "Zca"}),
    ("rv64i_h_sv39", {"H", "Sv39"}),
])
def test_string_names_a_closed_set(text: str, names: set[str]) -> None:
    assert parse_isa(text) == BASE | names


@pytest.mark.parametrize("row", extensions.EXTENSIONS, ids=lambda row: row.name)
def test_every_extension_can_be_named_and_taken_away(row: extensions.Extension) -> None:
    isa = close([row.name])
    assert {row.name, *row.implies} <= isa
    assert parse_isa(format_isa(isa)) == isa
    if row.name not in BASE:
        less = without(DEFAULT_ISA, row.name)
        assert row.name not in less
        assert parse_isa(f"-{row.name}") == less == parse_isa(format_isa(less))
        assert all(name in less for other in less for name in BY_NAME[other].implies)


def test_default_is_everything_but_the_options_and_reads_back() -> None:
    options = {"Smaia", "Ssaia", "Smcsrind", "Sscsrind"}
    assert set(BY_NAME) - DEFAULT_ISA == options == {row.name for row in extensions.EXTENSIONS if row.is_option}
    assert parse_isa(format_isa(DEFAULT_ISA)) == DEFAULT_ISA


def test_canonical_order_is_the_manuals() -> None:
    isa = close(["H", "C", "A", "M", "Zca", "Zaamo", "Zifencei", "Zicntr", "Sv39", "Sstvala", "Shtvala", "Zmmul"])
    assert format_isa(isa) == "rv64imach_zicntr_zicsr_zifencei_zmmul_zaamo_zalrsc_zca_sstvala_sv39_shtvala"


def test_misa_has_a_bit_for_each_letter() -> None:
    assert misa_bits(parse_isa("rv64imac")) == sum(1 << ord(letter) - 65 for letter in "IMACSU")


@pytest.mark.parametrize(("text", "message"), [
    ("rv32i", "it begins with rv64i, rv64g or a profile"),
    ("rv64e", "rv64i or rv64g begins it, not rv64 and E"),
    ("rv64m", "rv64i or rv64g begins it, not rv64 and m"),
    ("rv64", "rv64i or rv64g begins it, not rv64 and nothing"),
    ("rv64iq", "this hart has no extension 'q'; there are"),
    ("rv64i_zicnt", "this hart has no extension 'zicnt'; did you mean zicntr?"),
    ("rv64i_xhwacha", "this hart has no extension 'xhwacha'"),
    ("rv64i_?", "'?' is no extension"),
    ("-zicsr", "I, S, U, Zicsr cannot be left out"),
    ("banana", "it begins with rv64i"),
])
def test_what_is_wrong_is_said(text: str, message: str) -> None:
    with pytest.raises(OptionError, match=r"ISA ") as caught:
        parse_isa(text)
    assert message in str(caught.value)


def test_every_row_belongs_to_an_extension_that_exists() -> None:
    named = {row.extension for row in INSTRUCTIONS} | {csr.extension for csr in csrs.CSRS}
    named |= {name for csr in csrs.CSRS for field in csr.fields for name in field.extension.split()}
    assert named - {""} <= set(BY_NAME)


def test_every_extension_that_is_no_fact_adds_rows_or_stands_for_parts_that_do() -> None:
    named = {row.extension for row in INSTRUCTIONS} | {csr.extension for csr in csrs.CSRS}
    named |= {name for csr in csrs.CSRS for field in csr.fields for name in field.extension.split()}
    other_ways = {"U", "Sv48", "Sv57", "Svnapot"}  # a mode, values of satp.MODE, forms of page-table entries
    for row in extensions.EXTENSIONS:
        assert row.is_fact or row.name in named | other_ways or set(row.implies) & named, row.name
