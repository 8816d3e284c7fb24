"""A deprivileged guest's CSRs: what is put is what is read, wherever the file keeps it."""

from __future__ import annotations

import pytest

from hartvisor.core.vmm.csr_file import CSR_NAMES, SATP, SSTATUS, SSTATUS_FS, SSTATUS_SD, CsrFile
from hartvisor.core.vmm.guest_isa import GUEST_ISA
from tests.vmm.support import start


def file_of(isa: frozenset[str]) -> CsrFile:
    csrs = start("j .", "deprivileged", isa=isa).vcpus[0].csrs
    assert isinstance(csrs, CsrFile)
    return csrs


@pytest.mark.parametrize("isa", [GUEST_ISA, GUEST_ISA - {"F", "D", "Zfh", "Zfhmin", "Zfa", "Zcd"}], ids=["F", "no F"])
@pytest.mark.parametrize("number", sorted(CSR_NAMES.keys() - {SATP, SSTATUS}), ids=CSR_NAMES.get)
def test_what_is_put_is_read(number: int, isa: frozenset[str]) -> None:
    csrs = file_of(isa)
    for value in (0x5555_AAAA_1234_5678, (1 << 64) - 1, 0):
        csrs.put(number, value)
        assert csrs.read(number) == value


@pytest.mark.parametrize("isa", [GUEST_ISA, GUEST_ISA - {"F", "D", "Zfh", "Zfhmin", "Zfa", "Zcd"}], ids=["F", "no F"])
def test_sstatus_that_is_put_has_its_own_sd(isa: frozenset[str]) -> None:
    csrs = file_of(isa)
    csrs.is_stale = False
    for fs in range(4):
        value = 0x2_0000_0122 | fs << 13
        csrs.put(SSTATUS, value | (SSTATUS_SD if fs == 1 else 0))
        assert csrs.read(SSTATUS) == value | (SSTATUS_SD if fs << 13 == SSTATUS_FS else 0)
    assert csrs.is_stale


def test_satp_is_written_and_others_are_not_there() -> None:
    for number in (SATP, 0x300):
        with pytest.raises(KeyError):
            file_of(GUEST_ISA).put(number, 0)
