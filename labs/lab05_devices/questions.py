"""Lab 5's two predictions."""

from __future__ import annotations

from ...core.devices.virtio.queue import Queue
from ...core.hart import Memory
from ...core.machine.memory_map import RAM_BASE
from ...core.vmm.exits import ExitReason
from ...core.vmm.guest_memory import IdentityMemory
from ..judge.guests import Guest
from ..lab import random_for


def _text(seed: int) -> tuple[int, str]:
    random = random_for(5, "text", seed)
    length = random.randrange(20, 90)
    body = random.sample(["sb t1, 7(s0)", "lbu t3, 7(s0)", "lbu t4, 6(s0)", "lbu t3, 4(s0)"], random.randrange(1, 4))
    return length, "\n".join([
        "    li s0, 0x10000000", f"    li t0, {length}", "again:", "    lbu t1, 5(s0)", "    andi t1, t1, 0x20",
        "    beqz t1, again", "    sb t0, 0(s0)", *(f"    {line}" for line in body), "    addi t0, t0, -1",
        "    bnez t0, again"])


def ask_exits(seed: int) -> str:
    """Exits of a driver."""
    return ("A deprivileged guest kernel sends bytes through the UART, whose transmitter is always ready. How many\n"
            "exits are counted as mmio-load and mmio-store together?\n\n" + _text(seed)[1].replace("    ", "  "))


def exits(seed: int) -> int:
    """By running it."""
    guest = Guest.of(_text(seed)[1] + "\n    li a7, 8\n    ecall\n")
    vm = guest.start(guest.config("deprivileged"))
    vm.run(100_000)
    return vm.exits[ExitReason.MMIO_LOAD] + vm.exits[ExitReason.MMIO_STORE]


def _ring(seed: int) -> tuple[int, int, int]:
    random = random_for(5, "ring", seed)
    return random.choice((4, 8, 16, 32)), 0x8030_0000 + 4 * random.randrange(1 << 12), random.randrange(1000, 60_000)


def ask_element(seed: int) -> str:
    """Where an element lies."""
    size, device, count = _ring(seed)
    return (f"A queue of {size} entries has its device area (flags, idx, ring) at {device:#x}. The device uses its\n"
            f"first {count} chains. At which gpa does the element of the last of them lie (0x...)?")


def element(seed: int) -> int:
    """By having the shipped queue use the last chain of so many."""
    size, device, count = _ring(seed)
    ram = IdentityMemory(Memory(1 << 23, base=RAM_BASE), RAM_BASE, 1 << 23)
    queue = Queue(ram, size)
    queue.size, queue.descriptors, queue.driver, queue.device = size, RAM_BASE, RAM_BASE + 0x1000, device
    queue.enable(has_indirect=False, has_event_idx=False)
    queue.restore(queue.save() | {"next_available": count - 1, "next_used": count - 1})
    ram.write(RAM_BASE, (RAM_BASE + 0x2000).to_bytes(8, "little") + (77).to_bytes(8, "little"))
    ram.write(queue.driver + 2, count.to_bytes(2, "little"))
    chain = queue.pop()
    assert chain is not None
    chain.written = 0x7E57_0001
    queue.push(chain)
    return next(gpa for gpa in range(device, device + 8 * size + 6) if ram.load(gpa + 4, 4) == chain.written)
