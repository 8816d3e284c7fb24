"""What tests of views share: inspected VMs of tern and of small guests, and the proof that looking changes nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from hartvisor.core.machine.loader import Image, load_image
from hartvisor.core.vmm.config import VmConfig
from hartvisor.core.vmm.digest import digest
from hartvisor.core.vmm.gdb.target import Halt
from hartvisor.core.vmm.inspector import Inspection, Inspector, Moves
from hartvisor.core.vmm.vm import Vm
from hartvisor.guest import image

from .. import support

HYPERVISED = ("deprivileged", "shadow", "two-stage")
TECHNIQUES = ("bare", *HYPERVISED)


def tern(technique: str, append: str = "workload=1", vcpus: int = 1, **settings: Any) -> Inspector:
    """The teaching kernel, at its first instruction."""
    config = VmConfig(technique=technique, memory=32 << 20, append=append, vcpus=vcpus)
    return Inspector("tern", Vm(config, load_image(image("kernel")), **settings))


def inspect(guest: Image | str, technique: str, name: str = "guest", **settings: Any) -> Inspector:
    """A small guest, an image or assembly text."""
    return Inspector(name, support.start(guest, technique, **settings))


def do(move: Moves) -> Halt | None:
    """A move from beginning to end."""
    while True:
        try:
            next(move)
        except StopIteration as end:
            halt: Halt | None = end.value
            return halt


def run(inspector: Inspector, steps: int) -> Halt | None:
    """Go on for so many steps."""
    limit, halt = inspector.step + steps, None
    while halt is None and inspector.step < limit:
        halt = inspector.run_slice(limit)
    return halt


def of_record(inspector: Inspector) -> tuple[object, ...]:
    """All that looking must leave as it is: the guest's state, and the hypervisor's counts."""
    vm = inspector.vm
    return (digest(vm), vm.exits, vm.ram.mapped(), dict(vm.frames.owners), vm.console.written,
            [(hart.tlb_misses, hart.walks, hart.walk_reads) for hart in vm.harts],
            [(hart.pc, hart.privilege, hart.steps) for hart in vm.harts])


@contextmanager
def unchanged(*inspectors: Inspector) -> Iterator[None]:
    """What is done here changes nothing."""
    before = [of_record(inspector) for inspector in inspectors]
    yield
    assert [of_record(inspector) for inspector in inspectors] == before


def look(inspector: Inspector, view: Callable[[Inspection], Any]) -> Any:
    """A view of one VM, and that it changed nothing."""
    with unchanged(inspector):
        return view(Inspection([inspector]))
