"""Loads, stores and atomics that the hypervisor executes for the guest: on devices, and on guarded page tables.

One path for both. The instruction's bits say what it does, the guest's registers and page tables where, and then each
byte is guest RAM or a device's. The rules are the hart's (unprivileged manual, "A" extension; CONTRACT points in
brackets):

- LR, SC and AMOs must be aligned, which is checked before translation; loads and stores need not be, in RAM [6].
- A straddling access checks its lower page first, and writes nothing if either page faults [6].
- Only aligned loads and stores reach devices; atomics, misaligned accesses and holes in the map are access faults [6].
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final, NamedTuple

from ..hart import WATCH_LOADS, WATCH_STORES
from ..isa.causes import (
    LOAD_ACCESS_FAULT,
    LOAD_ADDRESS_MISALIGNED,
    LOAD_PAGE_FAULT,
    STORE_ACCESS_FAULT,
    STORE_ADDRESS_MISALIGNED,
    STORE_PAGE_FAULT,
)
from ..isa.decoder import Decoded, decode
from ..isa.paging import PAGE_SIZE
from .csr_file import SSTATUS, SSTATUS_FS
from .traps import retire
from .walker import LOAD, STORE

if TYPE_CHECKING:
    from ..hart import Hart
    from .vcpu import Vcpu

_WORD64: Final = (1 << 64) - 1
BLOCK_SIZE: Final = 64
"""Bytes of a cache block (Zic64b)."""

AS_STORE: Final = {LOAD_PAGE_FAULT: STORE_PAGE_FAULT, LOAD_ACCESS_FAULT: STORE_ACCESS_FAULT}
"""A cache-block instruction that needs no more than a load's permission faults as a store."""


class Fault(NamedTuple):
    """The exception that an emulated access raises in the guest."""

    cause: int
    tval: int


class MemoryOp(NamedTuple):
    """What an instruction does to memory.

    `kind`: load, store, lr, sc, amo, cas, zero, manage (the last two on a cache block). `size` in bytes. `amo`: old,
    operand -> new. `is_float`: the register loaded or stored is a floating-point one.
    """

    kind: str
    size: int
    is_signed: bool = False
    amo: Callable[[int, int, int], int] | None = None
    is_float: bool = False


def _signed(value: int, size: int) -> int:
    """The low `size` bytes of `value` as a signed number."""
    bit = 1 << 8 * size - 1
    return (value & 2 * bit - 1 ^ bit) - bit


_AMOS: Final[dict[str, Callable[[int, int, int], int]]] = {
    "amoswap": lambda old, operand, size: operand,
    "amoadd": lambda old, operand, size: old + operand,
    "amoxor": lambda old, operand, size: old ^ operand,
    "amoand": lambda old, operand, size: old & operand,
    "amoor": lambda old, operand, size: old | operand,
    "amomin": lambda old, operand, size: min(_signed(old, size), _signed(operand, size)),
    "amomax": lambda old, operand, size: max(_signed(old, size), _signed(operand, size)),
    "amominu": lambda old, operand, size: min(old, operand),
    "amomaxu": lambda old, operand, size: max(old, operand),
}
"""AMO to its function of the old value, the operand (both unsigned) and the size in bytes; the result is taken modulo
it."""

MEMORY_OPS: Final[dict[str, MemoryOp]] = {
    "lb": MemoryOp("load", 1, True), "lh": MemoryOp("load", 2, True), "lw": MemoryOp("load", 4, True),
    "ld": MemoryOp("load", 8), "lbu": MemoryOp("load", 1), "lhu": MemoryOp("load", 2), "lwu": MemoryOp("load", 4),
    "sb": MemoryOp("store", 1), "sh": MemoryOp("store", 2), "sw": MemoryOp("store", 4), "sd": MemoryOp("store", 8),
    **{f"fl{letter}": MemoryOp("load", size, is_float=True) for letter, size in (("h", 2), ("w", 4), ("d", 8))},
    **{f"fs{letter}": MemoryOp("store", size, is_float=True) for letter, size in (("h", 2), ("w", 4), ("d", 8))},
    "lr.w": MemoryOp("lr", 4, True), "lr.d": MemoryOp("lr", 8),
    "sc.w": MemoryOp("sc", 4), "sc.d": MemoryOp("sc", 8),
    "amocas.w": MemoryOp("cas", 4, True), "amocas.d": MemoryOp("cas", 8, True), "amocas.q": MemoryOp("cas", 16),
    "cbo.zero": MemoryOp("zero", BLOCK_SIZE),
    **{f"cbo.{what}": MemoryOp("manage", BLOCK_SIZE) for what in ("inval", "clean", "flush")},
    **{f"{name}.{width}": MemoryOp("amo", size, True, function)
       for name, function in _AMOS.items() for width, size in (("w", 4), ("d", 8))},
}
"""Every instruction that accesses memory, by the name of its row."""


def find_memory_op(insn: int) -> tuple[Decoded, MemoryOp] | None:
    """The instruction and what it does to memory; None if it does nothing to memory (or is no instruction)."""
    instruction = decode(insn)
    if instruction is None or instruction.name not in MEMORY_OPS:
        return None
    return instruction, MEMORY_OPS[instruction.name]


def emulate_access(vcpu: Vcpu, instruction: Decoded, op: MemoryOp, fault_gva: int = -1,
                   fault_gpa: int = 0) -> Fault | None:
    """Execute the instruction on the guest's memory or devices.

    fault_gva, fault_gpa: what the caller has translated for this very access already, to save a walk; -1 for nothing.
    It retires (rd written, pc moved on, one step) and None is returned, or nothing changes and its exception is
    returned.
    """
    hart = vcpu.hart
    kind, size = op.kind, op.size
    gva = hart.read_gpr(instruction.rs1) + instruction.imm & _WORD64
    if size == BLOCK_SIZE:
        return _block(vcpu, instruction, kind == "zero")
    is_atomic = kind in ("lr", "sc", "amo", "cas")
    if is_atomic and gva & size - 1:
        return Fault(LOAD_ADDRESS_MISALIGNED if kind == "lr" else STORE_ADDRESS_MISALIGNED, gva)
    access = LOAD if kind in ("load", "lr") else STORE
    pieces: list[Piece] | Fault
    if gva == fault_gva and not gva & size - 1 and not is_atomic:
        pieces = [(fault_gpa, size)]
    else:
        pieces = translate_access(vcpu, gva, size, access, not is_atomic)
    if isinstance(pieces, Fault):
        return pieces
    if kind == "load":
        value = _load(vcpu, pieces)
        if value is None:
            return Fault(LOAD_ACCESS_FAULT, gva)
        if op.is_float:
            _write_float(vcpu, instruction.rd, value, size)
        else:
            hart.write_gpr(instruction.rd, _signed(value, size) if op.is_signed else value)
    elif kind == "store":
        source = instruction.rs2
        if not _store(vcpu, pieces, hart.read_fpr(source) if op.is_float else hart.read_gpr(source)):
            return Fault(STORE_ACCESS_FAULT, gva)
    else:
        _atomic(vcpu, instruction, op, pieces[0][0])
    retire(vcpu, instruction.length)
    return None


class Plain(NamedTuple):
    """A load or store of an integer register, as `emulate_device` needs it. sign: the value's top bit, 0 if it is
    unsigned; mask: all of its bits."""

    is_load: bool
    register: int
    base: int
    offset: int
    size: int
    sign: int
    mask: int
    length: int


_PLAIN: dict[int, Plain | None] = {}
"""By an instruction's bits; None for what is something else."""


def _find_plain(insn: int) -> Plain | None:
    found = find_memory_op(insn)
    if found is None or found[1].kind not in ("load", "store") or found[1].is_float:
        return None
    instruction, op = found
    is_load = op.kind == "load"
    return Plain(is_load, instruction.rd if is_load else instruction.rs2, instruction.rs1, instruction.imm, op.size,
                 1 << 8 * op.size - 1 if op.is_signed else 0, (1 << 8 * op.size) - 1, instruction.length)


def emulate_device(vcpu: Vcpu, insn: int, gva: int, gpa: int) -> bool:
    """As emulate_access, for what nearly every access to a device is: an integer register, aligned, and answered.

    False if it is not all of these: nothing has happened then. `gpa` is no RAM.
    """
    try:
        plain = _PLAIN[insn]
    except KeyError:
        plain = _PLAIN[insn] = _find_plain(insn)
    if plain is None:
        return False
    is_load, register, base, offset, size, sign, mask, length = plain
    hart = vcpu.hart
    if gva & size - 1 or hart.read_gpr(base) + offset & _WORD64 != gva:
        return False
    if is_load:
        value = vcpu.vm.bus.load(gpa, size)
        if value is None:
            return False
        hart.write_gpr(register, value - 2 * sign if value & sign else value)
    elif not vcpu.vm.bus.store(gpa, size, hart.read_gpr(register) & mask):
        return False
    hart.retire(length)
    return True


def _write_float(vcpu: Vcpu, register: int, value: int, size: int) -> None:
    """A load into a floating-point register, which is NaN-boxed and makes the guest's FS dirty."""
    vcpu.hart.write_fpr(register, value | _WORD64 << 8 * size & _WORD64)
    vcpu.csrs.write(SSTATUS, vcpu.csrs.read(SSTATUS) | SSTATUS_FS)


Piece = tuple[int, int]
"""GPA and size in bytes of one page's part of an access."""


def translate_access(vcpu: Vcpu, gva: int, size: int, access: int, devices_allowed: bool) -> list[Piece] | Fault:
    """Where an access of the guest goes, lower page first, or the exception of the first part that faults."""
    ram = vcpu.vm.ram
    first = min(size, PAGE_SIZE - (gva & PAGE_SIZE - 1))
    pieces = []
    for part, length in ((gva, first), (gva + first & _WORD64, size - first)):
        if not length:
            continue
        found = vcpu.translate(part, access)
        if found.cause is not None:
            return Fault(found.cause, part)
        may_be_device = devices_allowed and length == size and not gva & size - 1
        if not ram.contains(found.gpa, length) and not may_be_device:
            return Fault(LOAD_ACCESS_FAULT if access == LOAD else STORE_ACCESS_FAULT, part)
        pieces.append((found.gpa, length))
    return pieces


def _load(vcpu: Vcpu, pieces: list[Piece]) -> int | None:
    """The value at the pieces, unsigned; None if no device answers."""
    vm = vcpu.vm
    if not vm.ram.contains(*pieces[0]):
        return vm.bus.load(*pieces[0])
    return load_ram(vcpu, pieces)


def load_ram(vcpu: Vcpu, pieces: list[Piece]) -> int:
    """The bytes of the pieces, all RAM, as an unsigned number."""
    return int.from_bytes(b"".join(vcpu.vm.ram.read(gpa, length) for gpa, length in pieces), "little")


def _store(vcpu: Vcpu, pieces: list[Piece], value: int) -> bool:
    """Store the low bytes of `value`; False if no device takes them."""
    vm = vcpu.vm
    gpa, length = pieces[0]
    if not vm.ram.contains(gpa, length):
        return vm.bus.store(gpa, length, value & (1 << 8 * length) - 1)
    for gpa, length in pieces:
        _store_ram(vcpu, gpa, length, value)
        value >>= 8 * length
    return True


def _store_ram(vcpu: Vcpu, gpa: int, length: int, value: int) -> None:
    """The vCPU's own store, which leaves its reservation alone [5]."""
    hart, ram = vcpu.hart, vcpu.vm.ram
    ram.writable(gpa)  # which may move the page, and the reservation with it
    if vcpu.vm.watcher is not None:
        vcpu.vm.watcher.access(vcpu, gpa, length, WATCH_STORES)
    reservation = hart.reservation
    if length in (1, 2, 4, 8):
        ram.store(gpa, length, value)
    else:  # a part of a straddling store
        ram.write(gpa, (value & (1 << 8 * length) - 1).to_bytes(length, "little"))
    hart.reservation = reservation


def _atomic(vcpu: Vcpu, instruction: Decoded, op: MemoryOp, gpa: int) -> None:
    """LR, SC or AMO on RAM at an aligned GPA."""
    hart, ram = vcpu.hart, vcpu.vm.ram
    size = op.size
    if vcpu.vm.watcher is not None and op.kind != "sc":
        vcpu.vm.watcher.access(vcpu, gpa, size, WATCH_LOADS if op.kind == "lr" else WATCH_LOADS | WATCH_STORES)
    if op.kind == "lr":
        hart.write_gpr(instruction.rd, _signed(ram.load(gpa, size), size))
        hart.reservation = ram.hpa(gpa)
        return
    operand = hart.read_gpr(instruction.rs2) & (1 << 8 * size) - 1
    if op.kind == "sc":
        is_reserved = hart.reservation == ram.hpa(gpa)
        if is_reserved:
            _store_ram(vcpu, gpa, size, operand)
        hart.reservation = -1
        hart.write_gpr(instruction.rd, 0 if is_reserved else 1)
        return
    if op.kind == "cas":
        _compare_and_swap(vcpu, instruction, size, gpa)
        return
    assert op.amo is not None
    old = ram.load(gpa, size)
    _store_ram(vcpu, gpa, size, op.amo(old, operand, size))
    hart.write_gpr(instruction.rd, _signed(old, size))


def _read_wide(hart: Hart, register: int, size: int) -> int:
    """The low `size` bytes of a register, or of the pair that it begins."""
    value = hart.read_gpr(register)
    if size == 16 and register:
        value |= hart.read_gpr(register + 1) << 64
    return value & (1 << 8 * size) - 1


def _compare_and_swap(vcpu: Vcpu, instruction: Decoded, size: int, gpa: int) -> None:
    """AMOCAS: of 16 bytes on pairs of registers, where x0 and its partner read as zero and are not written."""
    hart, ram = vcpu.hart, vcpu.vm.ram
    old = int.from_bytes(ram.read(gpa, size), "little")
    expected, new = (_read_wide(hart, register, size) for register in (instruction.rd, instruction.rs2))
    _store_ram(vcpu, gpa, size, new if old == expected else old)
    if size < 16:
        hart.write_gpr(instruction.rd, _signed(old, size))
    elif instruction.rd:
        hart.write_gpr(instruction.rd, old)
        hart.write_gpr(instruction.rd + 1, old >> 64)


def _block(vcpu: Vcpu, instruction: Decoded, is_zero: bool) -> Fault | None:
    """CBO.ZERO, or one of those that only manage caches, of which there are none: permission checks alone."""
    ram = vcpu.vm.ram
    gva = vcpu.hart.read_gpr(instruction.rs1)
    found = vcpu.translate(gva, STORE if is_zero else LOAD)
    if found.cause is not None:
        return Fault(AS_STORE.get(found.cause, found.cause), gva)
    gpa = found.gpa & -BLOCK_SIZE
    if not ram.contains(gpa, BLOCK_SIZE):
        return Fault(STORE_ACCESS_FAULT, gva)
    if is_zero:
        _store_ram(vcpu, gpa, BLOCK_SIZE, 0)
    retire(vcpu, instruction.length)
    return None


def manages_block(insn: int) -> bool:
    """Whether the instruction needs no more than a load's permission though it faults as a store."""
    found = find_memory_op(insn)
    return found is not None and found[1].kind == "manage"
