"""A flat M-mode program that runs thousands of small cases, each in its own mode and state, on QEMU and on our hart.

A case is a few instructions in a slot of memory whose other words are ecall. The driver loads the state from the case's
record, enters its mode at the slot, and every trap (nothing is delegated) goes back to it: registers, trap CSRs and the
arena, which is all the memory that cases touch, are stored in the case's result. Before all that the driver stores
what CSRs hold at reset.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass, field

from hartvisor.core.isa.assembler import assemble
from hartvisor.core.isa.extensions import DEFAULT_ISA

from .float_qemu import FINISHER, RAM, on_ours, on_qemu

SLOTS = RAM + 0x10_0000
SLOT = 256
MIDDLE = 128
"""A case's first instruction lies in the middle of its slot, so that jumps land among ecalls."""
INPUTS = RAM + 0x100_0000
ARENA = RAM + 0xF0_0000
ARENA_WORDS = 16
RESETS = RAM + 0x600_0000
RESULTS = RAM + 0x610_0000
MTIMECMP = 0x200_4000
ECALL = (0x73).to_bytes(4, "little")
ABSENT = 0xAB5E_17AB_5E17
"""What stands for the reset value of a CSR whose reading traps."""

SPP, SPV = 1 << 8, 1 << 7
MODES = {"M": (3 << 11, 0), "HS": (SPP, 0), "U": (0, 0), "VS": (SPP, SPV), "VU": (0, SPV)}
"""Each mode as bits of mstatus and hstatus. M-mode is entered by mret, the others by sret, since QEMU ignores MPV."""
FS_DIRTY = 3 << 13

# In an order in which no write masks a later one; mstatus and mepc come last, by hand.
CONTROLS = (
    "menvcfg", "henvcfg", "senvcfg", "mstateen0", "hstateen0", "mcounteren", "hcounteren", "scounteren",
    "hstatus", "vsstatus", "mideleg", "hideleg", "hvip", "mie", "vsepc", "sscratch", "fcsr",
)  # fmt: skip
CLEARED = ("mip", "hvip", "satp", "vsatp", "hgatp", "medeleg", "hedeleg")
SEEN = ("fcsr", "mcause", "mtval", "mepc", "mstatus", "mtval2", "mtinst", "hstatus", "vsstatus", "sscratch")

_X, _F = 8 * 0, 8 * 31
_CONTROLS_AT = _F + 8 * 32
_STATUS_AT = _CONTROLS_AT + 8 * len(CONTROLS)
_ARENA_AT = _STATUS_AT + 16
RECORD = _ARENA_AT + 8 * ARENA_WORDS
_SEEN_AT = _F + 8 * 32
_KEPT_AT = _SEEN_AT + 8 * len(SEEN)
RESULT = _KEPT_AT + 8 * ARENA_WORDS

RESULT_NAMES = (
    *(f"x{i}" for i in range(1, 32)),
    *(f"f{i}" for i in range(32)),
    *SEEN,
    *(f"arena+{8 * i}" for i in range(ARENA_WORDS)),
)


@dataclass
class Case:
    """Instructions to run in a mode: `registers` x1 to x31, `floats` f0 to f31, `controls` CSRs, `status` of mstatus.

    `name`: what the case is about, for a failing test to show.
    """

    name: str
    code: bytes
    mode: str = "M"
    registers: Sequence[int] = (0,) * 31
    floats: Sequence[int] = (0,) * 32
    controls: dict[str, int] = field(default_factory=dict)
    status: int = FS_DIRTY
    arena: Sequence[int] = (0,) * ARENA_WORDS


def slot(index: int) -> int:
    """Where the case of this index has its first instruction."""
    return SLOTS + SLOT * index + MIDDLE


def _driver(resets: Sequence[str]) -> bytes:
    reset = "\n".join(f"csrr t0, {name}\nsd t0, {8 * i % 2048}(s0)" + ("\naddi s0, s0, 1024\naddi s0, s0, 1024"
                      if 8 * (i + 1) % 2048 == 0 else "") for i, name in enumerate(resets))
    load = "\n".join(f"ld x{i}, {_X + 8 * (i - 1)}(x31)" for i in range(1, 32))
    return assemble(f"""
    li s0, {RESETS}
    csrr t2, mtvec
    la t1, absent
    csrw mtvec, t1
{reset}
    csrw mtvec, t2
    li s0, {RESETS + 8 * len(resets)}
    csrr t2, mtvec
    sd t2, 0(s0)
    li t0, {MTIMECMP}
    li t1, -1
    sd t1, 0(t0)
    csrw stimecmp, t1
    csrw vstimecmp, t1
    srli t1, t1, 10
    csrw pmpaddr0, t1
    csrwi pmpcfg0, 31
    la t0, handler
    csrw mtvec, t0
    li x31, {INPUTS}
    li x30, {RESULTS}
next:
    ld x1, {_STATUS_AT + 8}(x31)
    beqz x1, finish
    csrw mepc, x1
    csrw sepc, x1
    la x2, current
    sd x31, 0(x2)
    csrw mscratch, x30
    csrw mie, x0
    {"".join(f"csrw {name}, x0{chr(10)}" for name in CLEARED)}
    sfence.vma
    hfence.gvma
    hfence.vvma
    li x1, {FS_DIRTY}
    csrw mstatus, x1
    li x2, {ARENA}
    li x3, {_ARENA_AT}
    add x3, x3, x31
    {"".join(f"ld x1, {8 * i}(x3){chr(10)}sd x1, {8 * i}(x2){chr(10)}" for i in range(ARENA_WORDS))}
    {"".join(f"fld f{i}, {_F + 8 * i}(x31){chr(10)}" for i in range(32))}
    {"".join(f"ld x1, {_CONTROLS_AT + 8 * i}(x31){chr(10)}csrw {name}, x1{chr(10)}" for i, name in enumerate(CONTROLS))}
    ld x1, {_STATUS_AT}(x31)
    csrw mstatus, x1
    srli x1, x1, 11
    andi x1, x1, 3
    beqz x1, below
{load}
    mret
below:
{load}
    sret
    .align 2
handler:
    csrrw x31, mscratch, x31
    {"".join(f"sd x{i}, {_X + 8 * (i - 1)}(x31){chr(10)}" for i in range(1, 31))}
    csrr x1, mscratch
    sd x1, {_X + 8 * 30}(x31)
    csrr x1, mstatus
    sd x1, {_SEEN_AT + 8 * SEEN.index("mstatus")}(x31)
    li x1, {FS_DIRTY}
    csrs mstatus, x1
    {"".join(f"csrr x1, {name}{chr(10)}sd x1, {_SEEN_AT + 8 * i}(x31){chr(10)}" for i, name in enumerate(SEEN)
             if name != "mstatus")}
    {"".join(f"fsd f{i}, {_F + 8 * i}(x31){chr(10)}" for i in range(32))}
    li x2, {ARENA}
    {"".join(f"ld x1, {8 * i}(x2){chr(10)}sd x1, {_KEPT_AT + 8 * i}(x31){chr(10)}" for i in range(ARENA_WORDS))}
    addi x30, x31, {RESULT}
    la x1, current
    ld x31, 0(x1)
    addi x31, x31, {RECORD}
    j next
    .align 2
absent:
    csrr t0, mepc
    addi t0, t0, 4
    csrw mepc, t0
    li t0, {ABSENT}
    mret
finish:
    li t0, {FINISHER}
    li t1, 0x5555
    sw t1, 0(t0)
    j .
    .align 3
current: .dword 0
""", RAM).code


def image(cases: Sequence[Case], resets: Sequence[str] = ()) -> bytes:
    """RAM's content for these cases; `resets`: the CSRs whose reset values are wanted (mtvec's comes anyway)."""
    code = _driver(resets)
    ram = bytearray(INPUTS - RAM + RECORD * (len(cases) + 1))
    assert len(code) <= SLOTS - RAM and slot(len(cases)) < ARENA and len(ram) <= RESETS - RAM
    ram[: len(code)] = code
    slots = SLOTS - RAM
    ram[slots : slots + SLOT * len(cases)] = ECALL * (SLOT // 4 * len(cases))
    layout = struct.Struct(f"<{RECORD // 8}Q")
    for index, case in enumerate(cases):
        at = slot(index) - RAM
        ram[at : at + len(case.code)] = case.code
        status, hstatus = MODES[case.mode]
        controls = {"vsepc": slot(index) + 64} | case.controls
        controls["hstatus"] = controls.get("hstatus", 0) | hstatus
        layout.pack_into(
            ram, INPUTS - RAM + RECORD * index, *case.registers, *case.floats,
            *(controls.get(name, 0) for name in CONTROLS), case.status | status, slot(index), *case.arena,
        )  # fmt: skip
    return bytes(ram)


def run(qemu: str, cpu: str, cases: Sequence[Case], resets: Sequence[str] = (),
        isa: frozenset[str] = DEFAULT_ISA) -> tuple[bytes, bytes]:
    """RAM from RESETS on after both ran the cases: (ours, with the extensions `isa`, QEMU's)."""
    ram, end = image(cases, resets), RESULTS + RESULT * len(cases)
    return on_ours(ram, end, isa=isa)[RESETS - RAM :], on_qemu(qemu, cpu, ram, end)[RESETS - RAM :]


def result(ram: bytes, index: int) -> dict[str, int]:
    """A case's result by name, from what `run` gave."""
    return dict(zip(RESULT_NAMES, struct.unpack_from(f"<{RESULT // 8}Q", ram, RESULTS - RESETS + RESULT * index),
                    strict=True))


def differing(ours: bytes, theirs: bytes, cases: Sequence[Case]) -> list[int]:
    """The indices of the cases whose results are not the same."""
    first = RESULTS - RESETS
    places = (slice(first + RESULT * i, first + RESULT * (i + 1)) for i in range(len(cases)))
    return [index for index, at in enumerate(places) if ours[at] != theirs[at]]
