"""The target description: every register of the tables, once, under the name and number that are its own."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from hartvisor.core.isa.csrs import BY_NAME, CSRS
from hartvisor.core.isa.extensions import DEFAULT_ISA, without
from hartvisor.core.isa.registers import ABI, FLOAT_ABI
from hartvisor.core.machine.machine import Machine
from hartvisor.core.vmm.compare import COMPARED
from hartvisor.core.vmm.csr_file import CSR_NAMES
from hartvisor.core.vmm.gdb.description import describe
from hartvisor.core.vmm.gdb.target import MachineTarget, VmTarget
from tests.vmm.support import start

PREFIX = "org.gnu.gdb.riscv."


def registers(text: str) -> dict[str, dict[str, int]]:
    """By feature, the names of the registers and their numbers."""
    tree = ElementTree.fromstring(text)
    assert tree.findtext("architecture") == "riscv:rv64"
    return {feature.get("name", "").removeprefix(PREFIX):
            {register.get("name", ""): int(register.get("regnum", "")) for register in feature.findall("reg")}
            for feature in tree.findall("feature")}


def test_every_csr_of_the_table_is_there() -> None:
    found = registers(describe(CSRS, has_float=True))
    assert found["cpu"] == {name: number for number, name in enumerate((*ABI, "pc"))}
    assert list(found["fpu"])[:32] == list(FLOAT_ABI)
    assert {name: number - 65 for name, number in {**found["fpu"], **found["csr"]}.items() if number >= 65} == {
        csr.name: csr.number for csr in CSRS}
    assert found["virtual"] == {"priv": 65 + 4096}


def test_fields_are_types() -> None:
    tree = ElementTree.fromstring(describe([BY_NAME["satp"]], has_float=False))
    fields = [field.attrib for field in tree.iter("field")]
    assert fields == [{"name": "PPN", "start": "0", "end": "43", "type": "uint64"},
                      {"name": "ASID", "start": "44", "end": "59", "type": "uint64"},
                      {"name": "MODE", "start": "60", "end": "63", "type": "uint64"}]


def test_a_machine_shows_what_its_harts_have() -> None:
    isa = without(DEFAULT_ISA, "H")
    machine = Machine(8 << 20, isa=without(isa, "F"))
    target = MachineTarget(machine, None)
    found = registers(target.description)
    assert "fpu" not in found
    assert "hgatp" not in found["csr"]
    for number in found["csr"].values():
        assert target.read_register(0, number) is not None
    assert target.read_register(0, 33) is None


@pytest.mark.parametrize("technique", COMPARED)
def test_a_vm_shows_the_guests_and_nothing_of_the_hypervisors(technique: str) -> None:
    target = VmTarget(start("j .", technique), None)
    found = registers(target.description)
    assert found == registers(VmTarget(start("j .", "bare"), None).description)
    assert set(CSR_NAMES.values()) | {"cycle", "time", "instret"} <= set(found["csr"])
    assert not {"mstatus", "hgatp", "vsatp", "mhartid"} & set(found["csr"])
    for number in found["csr"].values():
        assert target.read_register(0, number) is not None
