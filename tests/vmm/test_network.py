"""A guest with a network: frames come in between two steps, at the same steps under every technique."""

from __future__ import annotations

import pytest

from hartvisor.core.devices.network.echo_host import ADDRESS, MAC, EchoHost
from hartvisor.core.devices.network.wire import Wire
from hartvisor.core.devices.virtio.device import VirtioDevice
from hartvisor.core.devices.virtio.net import BACKLOG, VirtioNet
from hartvisor.core.machine.inputs import Event
from hartvisor.core.machine.machine import Machine
from hartvisor.core.machine.machine import StopReason as MachineStop
from hartvisor.core.machine.network import LATENCY_TICKS, MAX_COMING, NEVER, source
from hartvisor.core.vmm.digest import digest
from hartvisor.core.vmm.snapshots import Snapshots
from hartvisor.core.vmm.stop import StopReason
from hartvisor.core.vmm.techniques import TECHNIQUES
from hartvisor.core.vmm.vm import Vm

from .support import MEMORY, assert_equivalent, guest, start

GUEST_MAC = bytes.fromhex("525400687600")
RINGS = 0x8040_0000  # of queue q at + q * 0x1000: descriptors, driver area at +0x100, device area at +0x200
BUFFER = 0x8041_0000
QUESTION = b"\xff" * 6 + GUEST_MAC + bytes.fromhex("0806000108000604 0001") + GUEST_MAC + bytes((10, 0, 2, 15)) \
    + bytes(6) + ADDRESS
ANSWER = GUEST_MAC + MAC + bytes.fromhex("0806000108000604 0002") + MAC + ADDRESS + GUEST_MAC + bytes((10, 0, 2, 15))
UNASKED = bytes(range(60))


def queue(number: int, gpa: int | str, length: int, flags: int) -> str:
    """One buffer in a queue of eight."""
    rings = RINGS + 0x1000 * number
    return f"""
    li t1, {number}
    sw t1, 0x30(s0)
    li s1, {rings}
    li t1, 8
    sw t1, 0x38(s0)
    sw s1, 0x80(s0)
    addi t1, s1, 0x100
    sw t1, 0x90(s0)
    addi t1, s1, 0x200
    sw t1, 0xa0(s0)
    li t1, 1
    sw t1, 0x44(s0)
    {f"la t1, {gpa}" if isinstance(gpa, str) else f"li t1, {gpa}"}
    sd t1, 0(s1)
    li t1, {length | flags << 32}
    sd t1, 8(s1)
    li t1, 0x10000
    sw t1, 0x100(s1)
    """


ASK = f"""
    li s0, 0x10001000
    li t1, 3
    sw t1, 0x70(s0)
    li t1, 1
    sw t1, 0x24(s0)
    sw t1, 0x20(s0)
    li t1, 11
    sw t1, 0x70(s0)
    {queue(0, BUFFER, 1600, 2)}
    {queue(1, "packet", 12 + len(QUESTION), 0)}
    li t1, 15
    sw t1, 0x70(s0)         # DRIVER_OK sends what waits
    li t0, 0xc000004        # PLIC: priority of source 1, enable for S-mode
    li t1, 1
    sw t1, 0(t0)
    li t0, 0xc002080
    li t1, 2
    sw t1, 0(t0)
    lw t1, 0x60(s0)
    sw t1, 0x64(s0)         # of the frame sent
    li t0, 0xc201004
    lw t1, 0(t0)
    sw t1, 0(t0)
    li t0, 0x200
    csrw sie, t0
"""
DATA = f"""
    .align 3
packet:
    .byte {", ".join(str(byte) for byte in bytes(12) + QUESTION)}
"""
SLEEPS = ASK + "wfi\nrdtime s5\nli s4, 1\ncsrw sie, zero\nlast: j last" + DATA
SPINS = SLEEPS.replace("wfi", f"li t0, {RINGS}\nagain: lhu t1, 0x202(t0)\nbeqz t1, again")
FALLS_ASLEEP = SLEEPS.replace("last: j", "last: wfi\nj")
S5 = 21


def card() -> list[VirtioDevice]:
    """One that is wired to the host in virtual time."""
    return [VirtioNet(Wire(EchoHost()), GUEST_MAC)]


@pytest.mark.parametrize("text", [SLEEPS, SPINS], ids=["asleep", "awake"])
@pytest.mark.parametrize("vcpus", [1, 2])
def test_the_answer_comes_a_latency_later_under_every_technique(text: str, vcpus: int) -> None:
    vms = assert_equivalent(text, 45_000, 1500, devices=card, vcpus=vcpus)
    assert vms[0].ram.read(BUFFER + 12, len(ANSWER)) == ANSWER
    assert LATENCY_TICKS < vms[0].hart.read_gpr(S5) < LATENCY_TICKS + 30


@pytest.mark.parametrize("technique", TECHNIQUES)
@pytest.mark.parametrize("vcpus", [1, 2])
def test_how_a_run_is_cut_changes_nothing(technique: str, vcpus: int) -> None:
    """A frame is due at the exact end of one of the stretches, and in the midst of others."""
    digests = []
    for stride in (40_000, 977, 40):
        vm = start(SPINS, technique, devices=card(), vcpus=vcpus)
        while vm.steps < 40_000:
            vm.run(min(stride, 40_000 - vm.steps))
        digests.append(digest(vm))
    assert len(set(digests)) == 1


@pytest.mark.parametrize("technique", TECHNIQUES)
def test_asleep_is_who_no_frame_can_reach(technique: str) -> None:
    """Not while the answer is on its way; once it has come, and no other will."""
    vm = start(FALLS_ASLEEP, technique, devices=card())
    stop = vm.run(1_000_000)
    assert stop.reason is StopReason.ASLEEP
    assert vm.hart.read_gpr(20) == 1


@pytest.mark.parametrize("technique", TECHNIQUES)
def test_a_frame_from_outside_enters_at_the_step_between_two_runs(technique: str) -> None:
    """And its event in the log of inputs is all that is needed to have the run again."""
    vm = start(SPINS, technique, devices=outside(), vcpus=2)
    vm.inputs.is_kept = True
    vm.run(12_345)
    assert vm.network.room(0) == 256
    vm.inputs.push(source(0), UNASKED)
    assert vm.network.room(0) == 255
    vm.run(30_000 - 12_345)
    assert vm.inputs.events == [Event(12_345, "net0", UNASKED)]
    assert vm.ram.read(BUFFER + 12, 60) == UNASKED
    again = start(SPINS, technique, devices=outside(), vcpus=2)
    again.inputs.events, again.inputs.is_closed = vm.inputs.events, True
    event = again.inputs.next_push()
    assert event is not None
    again.run(event.step)
    again.inputs.give(event)
    again.run(30_000 - event.step)
    assert digest(again) == digest(vm)


class Silence:
    """A peer that never answers."""

    def answer(self, frame: bytes) -> tuple[()]:
        return ()

    def save(self) -> dict[str, int | bytes]:
        return {}

    def restore(self, state: dict[str, int | bytes]) -> None:
        pass

    def close(self) -> None:
        pass


def outside() -> list[VirtioDevice]:
    """A card whose frames come from this test alone."""
    return [VirtioNet(Wire(Silence()), GUEST_MAC)]


@pytest.mark.parametrize("vcpus", [1, 2])
def test_a_restored_vm_has_the_frames_that_were_on_their_way(vcpus: int) -> None:
    vm = start(SPINS, "shadow", devices=card(), vcpus=vcpus)
    vm.run(2_000)
    assert vm.network.next != NEVER
    snapshots = Snapshots(vm)
    taken = snapshots.take()
    vm.run(40_000)
    expected = digest(vm)
    snapshots.restore(taken)
    vm.run(40_000)
    assert digest(vm) == expected
    assert vm.ram.read(BUFFER + 12, len(ANSWER)) == ANSWER


@pytest.mark.parametrize("text", [SLEEPS, SPINS], ids=["asleep", "awake"])
@pytest.mark.parametrize("harts", [1, 3])
def test_the_bare_machine_has_the_same_network(text: str, harts: int) -> None:
    """In M-mode, where the external interrupt is source 1 for context 0."""
    text = text.replace("0xc002080", "0xc002000").replace("0xc201004", "0xc200004")
    text = text.replace("li t0, 0x200\n", "li t0, 0x800\n").replace("csrw sie", "csrw mie")
    text = text.replace("rdtime s5", "li t2, 0x200bff8\nld s5, 0(t2)").replace("last: j", "last: wfi\nj")
    machine = Machine(MEMORY, n_harts=harts, devices=card())
    machine.load(guest("bnez a0, last\n" + text))
    stop = machine.run(harts * 60_000)
    assert stop.reason is MachineStop.ASLEEP
    assert machine.memory.read(BUFFER + 12, len(ANSWER)) == ANSWER
    assert LATENCY_TICKS - 1000 < machine.harts[0].read_gpr(S5) < LATENCY_TICKS + 1030


class Echoes(Silence):
    """A peer that answers each frame many times over."""

    def answer(self, frame: bytes) -> list[bytes]:  # type: ignore[override]
        return [UNASKED] * 2000


def test_what_a_guest_provokes_has_a_limit() -> None:
    """It costs frames, not the host's memory."""
    device = VirtioNet(Wire(Echoes()), GUEST_MAC)
    vm = start(SPINS, "two-stage", devices=[device])
    vm.run(2_000)
    assert device.lost == 2000 - MAX_COMING
    assert vm.network.room(0) == 0
    vm.run(20_000)
    assert device.lost == 2000 - BACKLOG - 1  # one had a buffer, and so many wait for theirs


def test_a_board_without_wires_saves_no_network() -> None:
    vm: Vm = start("j .", "bare")
    assert vm.network.save() == {}
