"""One flat program of many random blocks that runs alike on QEMU's `virt` board and on our hart.

A block loads the registers, enters its mode with its own delegation, address translation and status bits, runs random
instructions, and ends in an ecall to M-mode, which stores the registers and CSRs. Every trap on the way is logged by
the handler of the mode it went to, which then skips the instruction. At the end all results go to the UART, raw.

Left out is where QEMU 7.2 departs from the manual: TVM, VTVM and sfence.vma in a guest (it applies TVM, not VTVM),
hgatp under TVM, execute-only pages in a guest (it takes vsstatus.MXR for mstatus.MXR), what traps in VU-mode (it
reports illegal instructions), HLV and HSV (it takes SUM for set), AMOs that fault on the bus, htval (it writes
it on traps to VS-mode), bits 2 and 6 of hedeleg (it renumbers). And where both may choose: A and D bits (it
sets them), counters, FS and VS, unwritable fields of hstatus and vsstatus, causes of more than six bits.
Interrupts and WFI too.
"""

from __future__ import annotations

import random

from hartvisor.core.isa.assembler import assemble
from hartvisor.core.isa.instructions import OPS

from ..conformance.unprivileged import AMOS, IMMEDIATE, LOADS, REGISTER, STORES
from .programs import encode

RAM = 0x8000_0000
BLOCKS_AT = RAM + 0x1000
VALUES_AT = RAM + 0x8_0000  # per block: 31 registers, then the words of CONTROL
TABLES_AT = RAM + 0xC_0000
DATA_AT = RAM + 0xD_0000
RESULTS_AT = RAM + 0x10_0000
SIZE = 0x20_0000
RECORD = 4096
LOG_AT, LOG_SIZE = 360, 1120  # in a record: the trap logs of M-, S- and VS-mode, of up to 20 traps
WINDOW = 0xC000_0000
"""Where every address space has random mappings."""

CONTROL = (
    "mstatus",
    "hstatus",
    "vsstatus",
    "medeleg",
    "hedeleg",
    "satp",
    "vsatp",
    "hgatp",
    "mcounteren",
    "hcounteren",
    "scounteren",
    "mepc",
)
SEEN = ("sepc", "scause", "stval", "vsepc", "vscause", "vstval", "mtval2")
_MODES = {"M": 3 << 11, "HS": 1 << 11, "U": 0, "VS": 1 << 11 | 1 << 39, "VU": 1 << 39}
_STATUS_LOW = 42  # shift that keeps the low 22 bits of a status register

# CSRs that blocks access: the bits to write, and the bits always written.
_STATUS_BITS = 0xC_0122
WRITABLE = {
    "sstatus": (_STATUS_BITS & ~2, 0),
    "vsstatus": (_STATUS_BITS, 0),
    "hstatus": (0x30_03C0, 2 << 32),
    "sie": (0x222, 0),
    "hie": (0x444, 0),
    "mie": (0x666, 0),
    "vsie": (0x222, 0),
    "sepc": ((1 << 64) - 2, 0),
    "vsepc": ((1 << 64) - 2, 0),
    "scause": (0x3F, 0),
    "vscause": (0x3F, 0),
    "htimedelta": ((1 << 64) - 1, 0),
    "scounteren": (7, 0),
    "hcounteren": (7, 0),
    "mcounteren": (7, 0),
}
_READ_ONLY = ("cycle", "time", "instret", "mhartid", "satp", "vsatp", "0x5c0", "hgeip")

_LOGGER = """
handler_{name}:
    csrrw x31, {s}scratch, x31
    sd x30, 0(x31)
    csrr x30, {s}cause
    {finish}
    sd x30, 8(x31)
    csrr x30, {s}tval
    sd x30, 16(x31)
    csrr x30, {s}status
    slli x30, x30, 42
    srli x30, x30, 42
    sd x30, 24(x31)
    {extra}
    csrr x30, {s}epc
    sd x30, 32(x31)
    addi x30, x30, 4
    csrw {s}epc, x30
    ld x30, 0(x31)
    sd x0, 0(x31)
    addi x31, x31, 56
    csrrw x31, {s}scratch, x31
    {s}ret
"""

START = """
    li x1, -1
    srli x1, x1, 10
    csrw pmpaddr0, x1
    csrwi pmpcfg0, 31
    la x1, handler_m
    csrw mtvec, x1
    la x1, handler_s
    csrw stvec, x1
    la x1, handler_vs
    csrw vstvec, x1
    la x31, {values}
    la x30, {results}
next_block:
    ld x1, {mepc}(x31)
    beqz x1, dump
    csrw mie, x0
    addi x2, x30, {log}
    csrw mscratch, x2
    addi x2, x2, {log_size}
    csrw sscratch, x2
    addi x2, x2, {log_size}
    csrw vsscratch, x2
    la x2, current
    sd x31, 0(x2)
    sd x30, 8(x2)
    sfence.vma
    hfence.gvma
    hfence.vvma
{controls}
{loads}
    ld x30, {x30}(x31)
    ld x31, {x31}(x31)
    mret
finish:
    sd x31, 40(x31)
    la x30, current
    ld x30, 8(x30)
{stores}
    ld x1, 0(x31)
    sd x1, {x30_out}(x30)
    csrr x1, mscratch
    sd x1, {x31_out}(x30)
{seen}
    la x1, current
    ld x31, 0(x1)
    addi x31, x31, {stride}
    li x1, {record}
    add x30, x30, x1
    j next_block
dump:
    la x1, {results}
    li x2, 0x10000000
1:  lbu x3, 0(x1)
    sb x3, 0(x2)
    addi x1, x1, 1
    bne x1, x30, 1b
    li x1, 0x100000
    li x2, 0x5555
    sw x2, 0(x1)
1:  j 1b
.align 3
current: .dword 0, 0
"""


def program(seed: int, blocks: int) -> bytes:
    """The whole image, to be loaded at RAM and entered there in M-mode."""
    rng = random.Random(seed)
    image = bytearray(SIZE)

    def put(address: int, data: bytes) -> None:
        image[address - RAM : address - RAM + len(data)] = data

    put(DATA_AT, rng.randbytes(0x4000))
    roots = _tables(rng, image)
    place = BLOCKS_AT
    stride = 8 * (31 + len(CONTROL))
    for number in range(blocks):
        mode = rng.choice(list(_MODES))
        code = b"".join(insn.to_bytes(4, "little") for insn in _block(rng, mode))
        put(place, code)
        values = [_value(rng) for _ in range(31)]
        control = _control(rng, mode, roots, place)
        put(VALUES_AT + stride * number, b"".join(value.to_bytes(8, "little") for value in values + control))
        place += len(code)
    assert (
        place <= VALUES_AT
        and VALUES_AT + stride * (blocks + 1) <= TABLES_AT
        and RESULTS_AT + RECORD * blocks <= RAM + SIZE
    )
    put(RAM, _frame(stride))
    return bytes(image)


def _frame(stride: int) -> bytes:
    offset = 8 * 31
    text = START.format(
        values=VALUES_AT,
        results=RESULTS_AT,
        mepc=offset + 8 * CONTROL.index("mepc"),
        x30=8 * 29,
        x31=8 * 30,
        x30_out=8 * 29,
        x31_out=8 * 30,
        stride=stride,
        record=RECORD,
        log=LOG_AT,
        log_size=LOG_SIZE,
        controls="\n".join(f"    ld x1, {offset + 8 * i}(x31)\n    csrw {name}, x1" for i, name in enumerate(CONTROL)),
        loads="\n".join(f"    ld x{i}, {8 * (i - 1)}(x31)" for i in range(1, 30)),
        stores="\n".join(f"    sd x{i}, {8 * (i - 1)}(x30)" for i in range(1, 30)),
        seen="\n".join(f"    csrr x1, {name}\n    sd x1, {248 + 8 * i}(x30)" for i, name in enumerate(SEEN)),
    )
    text = text.replace(f"la x31, {VALUES_AT}", f"li x31, {VALUES_AT}").replace(
        f"la x30, {RESULTS_AT}", f"li x30, {RESULTS_AT}"
    )
    text = text.replace(f"la x1, {RESULTS_AT}", f"li x1, {RESULTS_AT}").replace("sd x31, 40(x31)\n", "nop\n")
    finish = "addi x30, x30, -8\n    sltiu x30, x30, 4\n    bnez x30, finish\n    csrr x30, mcause"
    text += _LOGGER.format(
        name="m",
        s="m",
        finish=finish,
        extra="csrr x30, mtinst\n    sd x30, 40(x31)\n    csrr x30, mtval2\n    sd x30, 48(x31)",
    )
    text += _LOGGER.format(
        name="s",
        s="s",
        finish="",
        extra="csrr x30, htinst\n    sd x30, 40(x31)\n    csrr x30, htval\n    sd x30, 48(x31)",
    )
    text += _LOGGER.format(name="vs", s="s", finish="", extra="")
    code = assemble(text, RAM).code
    assert len(code) <= BLOCKS_AT - RAM
    return code


def _tables(rng: random.Random, image: bytearray) -> dict[str, int]:
    """Roots for S (code not U), U (code U) and the G-stage: RAM to itself by a gigapage, and the random window."""
    level1, level0 = TABLES_AT + 0x8000, TABLES_AT + 0x9000

    def put(address: int, value: int) -> None:
        image[address - RAM : address - RAM + 8] = value.to_bytes(8, "little")

    for root, flags in ((TABLES_AT, 0xDF), (TABLES_AT + 0x4000, 0xCF), (TABLES_AT + 0x5000, 0xDF)):
        put(root + 16, RAM >> 2 | flags)
        put(root + 24, level1 >> 2 | 1)
    for index in range(4):
        put(
            level1 + 8 * index,
            rng.choice(
                (
                    level0 >> 2 | 1,
                    level0 >> 2 | 1,
                    level0 >> 2 | 1 | 1 << rng.choice((4, 6, 7)),
                    RAM + SIZE >> 2 | 0xDF,
                    DATA_AT >> 2 | 0xDF,
                )
            ),
        )
    for index in range(32):
        flags = rng.choice(
            (0xDF, 0xCF, 0xC1, rng.getrandbits(5) | 0xC1, rng.getrandbits(5) | 0xC1, rng.getrandbits(5) | 0xC0)
        )
        flags |= 2 if flags & 8 else 0
        high = 1 << rng.randrange(54, 61) if rng.random() < 0.1 else 0
        put(level0 + 8 * index, DATA_AT + 0x1000 * rng.randrange(4) >> 2 | flags | high)
    return {"G": TABLES_AT, "S": TABLES_AT + 0x4000, "U": TABLES_AT + 0x5000}


def _control(rng: random.Random, mode: str, roots: dict[str, int], pc: int) -> list[int]:
    root = 8 << 60 | roots["U" if mode in ("U", "VU") else "S"] >> 12
    # The end of a block is an ecall, which must reach M-mode.
    delegated = rng.choice((0, 0xFFFFFF, rng.getrandbits(24))) & 0xF0_B1FF & ~0x700
    values = {
        "mstatus": _MODES[mode] | rng.getrandbits(40) & (0x2C_0122 if mode in ("VS", "VU") else 0x3C_0122) | 1 << 7,
        "hstatus": rng.getrandbits(24) & (0x20_03C0 if mode == "VS" else 0x30_03C0) | 2 << 32,
        "vsstatus": rng.getrandbits(24) & _STATUS_BITS,
        "medeleg": delegated,
        "hedeleg": rng.choice((0, delegated)) & 0xB1FF & ~0x744,  # not 2 and 6: QEMU 7.2 renumbers them like interrupts
        "satp": rng.choice((0, root, root)),
        "vsatp": rng.choice((0, root, root)),
        "hgatp": rng.choice((0, 8 << 60 | roots["G"] >> 12)),
        "mcounteren": rng.getrandbits(3),
        "hcounteren": rng.getrandbits(3),
        "scounteren": rng.getrandbits(3),
        "mepc": pc,
    }
    # The S-mode handlers run on the same translation: their code must not be a user page.
    if mode in ("U", "VU"):
        values["satp" if mode == "U" else "vsatp"] = rng.choice((0, root)) if not delegated else 0
        if mode == "VU":
            values["satp"] = 0
    return [values[name] for name in CONTROL]


def _value(rng: random.Random) -> int:
    window = (
        WINDOW
        + (rng.randrange(4) << 21 if rng.random() < 0.2 else 0)
        + rng.randrange(32) * 0x1000
        + rng.randrange(0, 0x1000, 8)
    )
    return rng.choice(
        (
            rng.getrandbits(64),
            rng.getrandbits(32),
            rng.randrange(64),
            (1 << 64) - 1,
            1 << 63,
            window,
            window,
            DATA_AT + rng.randrange(0, 0x3F00, 8),
            DATA_AT + rng.randrange(0x3F00),
        )
    )


_ON_QEMU = {"lui", *REGISTER, *IMMEDIATE}
_ON_QEMU |= {
    row.name for row in OPS if row.extension in ("Zba", "Zbb", "Zbc", "Zbs") and row.name != "ctzw"
}  # 7.2 has no Zicond, and its ctzw counts 64 bits

_BY_KIND = {
    "integer": [row for row in OPS if row.name in _ON_QEMU],
    "memory": [row for row in OPS if row.name in LOADS or row.name in STORES],
    "atomic": [row for row in OPS if row.name.rpartition(".")[0] in AMOS],
    "fence": [row for row in OPS if row.name in ("sfence.vma", "hfence.vvma", "hfence.gvma", "fence", "fence.i")],
}


def _block(rng: random.Random, mode: str) -> list[int]:
    """Random instructions of four bytes, that leave x31 alone, and the final ecall."""
    code: list[int] = []
    while len(code) < 14:
        rd, base = rng.randrange(1, 30), rng.randrange(1, 30)
        kind = rng.choice(("integer", "memory", "memory", "atomic", "csr", "csr", "fence"))
        if mode == "VU" and kind in ("csr", "fence"):
            continue
        if kind == "csr":
            code += _csr_access(rng, rd)
            continue
        if kind in ("memory", "atomic"):
            # A pointer of known kind, made on the spot: into the data, or into the window.
            address = (DATA_AT if kind == "atomic" else rng.choice((DATA_AT, WINDOW, WINDOW))) + rng.randrange(
                32 if rng.random() < 0.7 else 4
            ) * 0x1000
            code.append(encode("lui", rng, rd=base, imm=address - (1 << 32) if address >> 31 else address))
            if address >> 31:
                code += [encode("slli", rng, rd=base, rs1=base, imm=32), encode("srli", rng, rd=base, rs1=base, imm=32)]
            is_free = kind == "memory" and address < WINDOW  # misaligned accesses to nothing are QEMU's own
            code.append(encode("addi", rng, rd=base, rs1=base, imm=rng.randrange(0, 2040, 1 if is_free else 8)))
        row = rng.choice(_BY_KIND[kind])
        if row.name == "sfence.vma" and mode in ("VS", "VU"):
            continue
        imm = {"imm": 0} if kind == "memory" else {}
        code.append(
            encode(
                row.name, rng, rd=rd, rs1=base if kind != "integer" else rng.randrange(30), rs2=rng.randrange(30), **imm
            )
        )
    return [*code, 0x73]


def _csr_access(rng: random.Random, rd: int) -> list[int]:
    if rng.random() < 0.3:
        name = rng.choice(_READ_ONLY)
        is_counter = name in ("cycle", "time", "instret")
        write = rng.random() < 0.2 and name in ("cycle", "mhartid", "hgeip")
        text = f"csrrw x0, {name}, x0" if write else f"csrr {'x0' if is_counter else f'x{rd}'}, {name}"
    else:
        name, (bits, always) = rng.choice(list(WRITABLE.items()))
        text = f"li x30, {rng.getrandbits(64) & bits | always}\ncsrrw x{rd}, {name}, x30"
        if rng.random() < 0.4:
            text = f"csrr x{rd}, {name}"
        if name.endswith("status"):
            text += f"\nslli x{rd}, x{rd}, {_STATUS_LOW}\nsrli x{rd}, x{rd}, {_STATUS_LOW}"
    code = assemble(text).code
    return [int.from_bytes(code[i : i + 4], "little") for i in range(0, len(code), 4)]
