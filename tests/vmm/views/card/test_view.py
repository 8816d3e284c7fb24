"""The card where something is out of the ordinary: handlers of a lab's, no past, another vCPU, no exit at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from hartvisor.core.devices.virtio.block import VirtioBlock
from hartvisor.core.devices.virtio.storage import HostFile, RawDisk
from hartvisor.core.hart import Exit
from hartvisor.core.isa import causes
from hartvisor.core.isa.decoder import Decoded
from hartvisor.core.vmm.config import VmConfig
from hartvisor.core.vmm.exit_log import FILLS
from hartvisor.core.vmm.exits import HANDLED, REFLECT, ExitReason
from hartvisor.core.vmm.guest_isa import GUEST_ISA
from hartvisor.core.vmm.inspector import Inspection, Inspector, exit_moves, moves
from hartvisor.core.vmm.vcpu import Vcpu
from hartvisor.core.vmm.views.card import view_card
from hartvisor.core.vmm.views.card.changes import Kind
from hartvisor.core.vmm.vm import Vm

from ...support import MEMORY, guest, start
from ...test_smp import CONTEND
from .support import TECHNIQUES, card_of, do, inspect

TWO_EXITS = """
    csrw sscratch, a0
    li a7, 8
    ecall
"""


def glass(vm: Vm) -> Inspector:
    return Inspector("guest", vm)


def students_csrrw(vcpu: Vcpu, instruction: Decoded) -> bool:
    """What a student wrote: nothing is written."""
    vcpu.hart.retire()
    return HANDLED


def students_ecall(vcpu: Vcpu, exit: Exit) -> bool:
    """Every call is refused."""
    vcpu.exits[ExitReason.SBI] += 1
    return REFLECT


def test_a_replaced_handler_is_shown_as_such() -> None:
    """With its file and line, and what it stands in place of."""
    config = VmConfig(technique="deprivileged", memory=MEMORY, instruction_handlers={"csrrw": students_csrrw},
                      handlers={causes.ECALL_FROM_U: students_ecall})
    inspector = glass(Vm(config, guest(TWO_EXITS)))
    assert inspector.log is not None
    do(moves.goto(inspector, 40))
    numbers = {inspector.log.reason_of(number): number for number in range(len(inspector.log) - 1, -1, -1)}
    own = card_of(inspector, numbers[ExitReason.CSR]).called
    assert [called.name for called in own] == ["Hosted.handle_instruction", "students_csrrw"]
    assert (own[1].is_replacement, own[1].instead_of) == (True, "_csr_handler.emulate_csr")
    assert own[1].place.split(":")[0].endswith("tests/vmm/views/card/test_view.py")
    assert own[1].about == "What a student wrote: nothing is written."
    first = card_of(inspector, numbers[ExitReason.SBI]).called[0]
    assert (first.name, first.instead_of) == ("students_ecall", "Hosted.handle_ecall")


def test_without_a_past_the_card_says_that_the_guest_stands_behind_the_exit(tmp_path: Path) -> None:
    """And tells the rule all the same, by the mode that the log has."""
    (tmp_path / "disk").write_bytes(bytes(4096))
    storage = RawDisk(HostFile(tmp_path / "disk"))
    inspector = glass(start(TWO_EXITS, "deprivileged", devices=[VirtioBlock(storage)]))
    assert inspector.timeline is None
    do(exit_moves.next_exit(inspector, {ExitReason.CSR}))
    page = view_card(Inspection([inspector]))
    assert page.card is not None
    assert not page.card.is_before
    assert not page.card.difference.is_known
    assert page.card.why.cause == causes.ILLEGAL_INSTRUCTION
    assert "no past" in page.card.steps[2].title


def test_on_the_bare_machine_and_before_the_first_exit_there_is_none() -> None:
    page = view_card(Inspection([glass(start(TWO_EXITS, "bare"))]))
    assert (page.card, page.last) == (None, None)
    assert "bare machine" in page.empty
    page = view_card(Inspection([glass(start(TWO_EXITS, "shadow"))]))
    assert page.card is None
    assert "No exit yet" in page.empty


def test_between_exits_it_tells_what_comes() -> None:
    """The instruction ahead under each technique, and the exit before."""
    inspector = glass(start(TWO_EXITS, "deprivileged"))
    do(exit_moves.next_exit(inspector))
    do(moves.step(inspector))
    page = view_card(Inspection([inspector]))
    assert page.card is None
    assert page.last is not None
    assert page.last.reason == ExitReason.CSR
    do(moves.step(inspector))
    page = view_card(Inspection([inspector]))
    assert page.next is not None
    assert page.next.code.text == "ecall"
    assert [each.why.exits for each in page.next.verdicts if each.why is not None] == [True, True, True]


def test_what_an_exit_does_to_another_vcpu_is_on_its_card() -> None:
    """An IPI sets the other's pending bit; the card is of the vCPU that called, whichever is looked at."""
    inspector = glass(start(CONTEND, "two-stage", vcpus=2))
    assert inspector.log is not None
    do(moves.goto(inspector, 200_000))
    found = 0
    for number in range(len(inspector.log)):
        if inspector.log.reason_of(number) != ExitReason.SBI:
            continue
        card = card_of(inspector, number)
        inspector.vcpu_index = 1 - card.logged.vcpu
        assert view_card(Inspection([inspector])).card == card
        found += any(change.vcpu == 1 - card.logged.vcpu for change in card.difference.changes)
    assert found > 0


def test_a_technique_that_cannot_run_the_guest_is_no_way_out() -> None:
    """Without Svinval a guest can only be deprivileged."""
    config = VmConfig(technique="deprivileged", memory=MEMORY, isa=GUEST_ISA - {"Svinval"})
    inspector = glass(Vm(config, guest(TWO_EXITS)))
    do(exit_moves.next_exit(inspector, {ExitReason.CSR}))
    card = view_card(Inspection([inspector])).card
    assert card is not None
    assert all(each.why is None and "Svinval" in each.refused.title() for each in card.elsewhere)
    assert card.avoiders == ()


def test_a_card_follows_an_edit() -> None:
    """A register changed at an exit begins another future, in which that exit has not happened."""
    inspector = glass(start(TWO_EXITS, "deprivileged"))
    do(exit_moves.next_exit(inspector, {ExitReason.CSR}))
    inspector.target.write_register(0, 10, 0x77)
    assert view_card(Inspection([inspector])).card is None
    do(exit_moves.next_exit(inspector, {ExitReason.CSR}))
    card = view_card(Inspection([inspector])).card
    assert card is not None
    told = {change.name: change.after for change in card.difference.changes}
    assert told["sscratch"] == "0x77"


def test_console_and_devices_are_among_the_changes() -> None:
    """What the guest writes, and the registers of the device that it writes to."""
    kinds = set()
    for name, steps in (("hello", 20_000), ("mmio", 60_000)):
        inspector = inspect(name, "two-stage", steps)
        assert inspector.log is not None
        for number in range(len(inspector.log)):
            if inspector.log.reason_of(number) in (ExitReason.SBI, ExitReason.MMIO_LOAD, ExitReason.MMIO_STORE):
                kinds |= {change.kind for change in card_of(inspector, number).difference.changes}
    assert {Kind.CONSOLE, Kind.DEVICE, Kind.STATE, Kind.REGISTER} <= kinds


@pytest.mark.parametrize("technique", TECHNIQUES)
def test_the_entry_that_a_fill_writes_is_the_one_in_the_table(technique: str) -> None:
    """At the moment when it has just been written; and it leads to the frame that the exit allocated, if it did."""
    inspector = inspect("kernel", technique, 0)
    fills = 0
    for _ in range(150):
        do(exit_moves.next_exit(inspector, FILLS))
        card = view_card(Inspection([inspector])).card
        assert card is not None
        leaf = next(change for change in card.difference.changes if change.name.endswith("leaf"))
        assert leaf.note.startswith("at HPA 0x"), leaf
        assert "another" not in leaf.note, (card.logged.text, leaf)
        frame = [change for change in card.difference.changes if change.kind is Kind.FRAME]
        assert len(frame) == card.logged.frames
        assert all(leaf.after.endswith(f"to {change.after}") for change in frame)
        fills += len(frame)
        if inspector.step > 300_000:
            break
    assert fills > 10
