"""States as text and back: equal to what they were, or one clear line."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hartvisor.core.machine.loader import load_image
from hartvisor.core.machine.machine import Machine, MachineState
from hartvisor.core.vmm.config import VmConfig
from hartvisor.core.vmm.digest import digest
from hartvisor.core.vmm.plain import DamagedError, dumps, loads
from hartvisor.core.vmm.state import VmState
from hartvisor.core.vmm.vm import Vm
from hartvisor.guest import image


def kernel() -> Vm:
    """tern at work."""
    vm = Vm(VmConfig(technique="shadow", append="workload=1", memory=32 << 20), load_image(image("kernel")))
    vm.run(500_000)
    return vm


def test_a_vms_state_comes_back_equal() -> None:
    """Through JSON and back, to the last bit, and equal states give equal text."""
    vm = kernel()
    state = vm.save()
    assert loads(VmState, dumps(state)) == state
    assert dumps(vm.save()) == dumps(state)
    before = digest(vm)
    vm.restore(loads(VmState, dumps(state)))
    assert digest(vm) == before


def test_a_machines_state_comes_back_equal() -> None:
    """Harts, with all their CSRs, and the board."""
    machine = Machine(32 << 20, n_harts=2)
    machine.load(load_image(image("hello")))
    machine.run(5000)
    state = machine.save()
    assert loads(MachineState, dumps(state)) == state


def change(plain: Any, path: list[str | int], value: Any) -> bytes:
    """The JSON with one thing in it replaced."""
    place = plain
    for name in path[:-1]:
        place = place[name]
    place[path[-1]] = value
    return json.dumps(plain).encode()


@pytest.mark.parametrize(("path", "value", "message"), [
    (["vcpus", 0, "pc"], "0x80", r"VmState.vcpus\[0\].pc: '0x80' is no int"),
    (["vcpus", 0, "pc"], True, "'True' is no int"),
    (["vcpus", 0, "gprs", 4], None, r"gprs\[4\]: 'None' is no int"),
    (["vcpus"], 7, "VmState.vcpus: '7' is no tuple"),
    (["power_off"], 3, "power_off: '3' is none of"),
    (["turns"], 3, "has turns in only one of the two"),
    (["board", "console", "typed"], {"hex": "0g"}, "is none of"),
])
def test_what_does_not_fit_is_named(path: list[str | int], value: Any, message: str) -> None:
    """The field, what stands there, and what should."""
    plain = json.loads(dumps(kernel().save()))
    with pytest.raises(DamagedError, match=message):
        loads(VmState, change(plain, path, value))


DATA = dumps(kernel().save())


@settings(max_examples=150, deadline=None)
@given(st.integers(0, len(DATA) - 1), st.integers(0, 255), st.booleans())
def test_damaged_text_is_refused_or_another_state(at: int, byte: int, is_cut: bool) -> None:
    """A cut or a changed byte never ends in anything but a state or a DamagedError."""
    data = DATA[:at] if is_cut else DATA[:at] + bytes([byte]) + DATA[at + 1:]
    try:
        state = loads(VmState, data)
    except DamagedError as error:
        assert "\n" not in str(error)
    else:
        assert replace(state) == state
