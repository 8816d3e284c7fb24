"""Random little kernels that do what hypervisors get wrong: tables edited through aliases, SUM and MXR, bad addresses,
misaligned and atomic accesses, CSRs of every kind, mode switches, interrupts, external ones among them, code that
changes itself with and without fence.i. They need not make sense, only be the same everywhere.

A program is a page of 4-byte instructions, mapped both for the supervisor (at its physical address) and for the user
(at USER_CODE). Its trap handler, on a page of its own, folds the trap's facts into s9 and skips the instruction that
trapped.
"""

from __future__ import annotations

from random import Random

from hartvisor.core.isa.assembler import assemble
from hartvisor.core.isa.instructions import INSTRUCTIONS
from hartvisor.core.machine.loader import Image, Segment

HANDLER = 0x8020_0000
CODE = 0x8020_1000
ROOT = 0x8030_0000
ROOT2 = 0x8030_1000
MIDDLE = 0x8030_2000
LEAVES = 0x8030_3000
OTHER_LEAVES = 0x8030_4000
ROOT48 = 0x8030_5000  # leads to ROOT, and to ROOT2 from 2**39 on
ROOT57 = 0x8030_6000  # leads to ROOT48
DATA = 0x8031_0000  # eight pages
ALIASES = 0x4000_0000  # what LEAVES maps: entry i is one of its pages
USER_CODE = ALIASES + 0x1F_0000
SV39, SV48, SV57 = 8 << 60, 9 << 60, 10 << 60

V, R, W, X, U, G, A, D = 1, 2, 4, 8, 16, 32, 64, 128

FRAMES = (*range(DATA, DATA + 0x8000, 0x1000), ROOT, ROOT2, MIDDLE, LEAVES, OTHER_LEAVES, CODE, 0x1000_0000,
          0x10_0000, 0x4000, 0x9000_0000, 1 << 45)
TABLES = (ROOT, ROOT2, MIDDLE, LEAVES, OTHER_LEAVES, ROOT48, ROOT57)
SATPS = (SV39 | ROOT >> 12, SV39 | ROOT2 >> 12, SV39 | 5 << 44 | ROOT >> 12, 0, 11 << 60, SV48 | ROOT48 >> 12,
         SV57 | ROOT57 >> 12, SV48 | 5 << 44 | ROOT57 >> 12)
GOOD_FLAGS = (R | W | X | A | D, R | W | A | D, R | A, R | X | A, X | A, R | W | A, R | W | X, R | W)
REGISTERS = ("t0", "t1", "t2", "a0", "a1", "a2", "a3", "a4", "s2", "s3")
POINTERS = ("s4", "s5", "s6")
CSRS = ("sscratch", "sepc", "scause", "stval", "sie", "sip", "scounteren", "senvcfg", "cycle", "time", "instret",
        "hpmcounter3", "hpmcounter4", "satp", "stvec", "sstatus", "mstatus", "hstatus", "vsatp", "hgatp", "0x5a8",
        "0xf14")
WIDTHS = ("b", "h", "w", "d")
AMOS = ("swap", "add", "xor", "and", "or", "min", "max", "minu", "maxu")

UART = 0x1000_0000
UART_PRIORITY, UART_ENABLE, CLAIM = 0xC00_0028, 0xC00_2080, 0xC20_1004  # source 10; context 1, which is S-mode's
SEIE = 0x200

STRAIGHT = [row for row in INSTRUCTIONS if "target" not in row.syntax and (row.expands or row.name) != "jalr"]
"""Every instruction but jumps and branches."""

FLOATS = [row for row in STRAIGHT if row.match & 0x7F in (0x43, 0x47, 0x4B, 0x4F, 0x53)]
"""Floating-point computations."""


class Writer:
    """Writes one program from a stream of random choices. is_fenced: every change of a table is followed by a fence."""

    def __init__(self, seed: int, is_fenced: bool) -> None:
        self.random = Random(seed)
        self.is_fenced = is_fenced
        self.frames = tuple(frame for frame in FRAMES if not (is_fenced and frame in TABLES))
        self.lines: list[str] = []
        self.labels = 0
        self.patches: list[str] = []

    def text(self, length: int) -> str:
        """The whole guest, with about `length` random actions."""
        self._begin()
        for _ in range(length):
            self.random.choices(
                (self._compute, self._point, self._access, self._atomic, self._edit, self._csr, self._status,
                 self._switch_space, self._fence, self._call, self._enter_user, self._enter_supervisor, self._odd,
                 self._raw, self._float, self._patch, self._external),
                (10, 12, 20, 8, 14, 8, 8, 3, 4, 4, 6, 4, 5, 5, 12, 8, 5))[0]()
        self._emit("j start")
        return "\n".join([*HANDLER_TEXT, f".org {CODE - HANDLER:#x}", *self.lines])

    def _emit(self, *lines: str) -> None:
        self.lines.extend(lines)

    def _pick(self, *choices: str) -> str:
        return self.random.choice(choices)

    def _flags(self) -> int:
        chance = self.random.random()
        if chance < 0.75:
            flags: int = self.random.choice(GOOD_FLAGS)
            return V | flags | (U if self.random.random() < 0.5 else 0)
        return self.random.randrange(1024)

    def _pte(self) -> int:
        frame: int = self.random.choice(self.frames)
        reserved: int = 1 << self.random.randrange(54, 64) if self.random.random() < 0.03 else 0
        return frame >> 2 | self._flags() | reserved

    def _begin(self) -> None:
        """Map RAM for the supervisor, devices, the aliases, and the program for the user."""
        ram = (0x8000_0000 >> 2) | V | R | W | X | A | D
        if self.random.random() < 0.5:
            self._store_pte(ROOT + 2 * 8, ram)
        else:
            self._store_pte(ROOT + 2 * 8, MIDDLE >> 2 | V)
            for megapage in range(4):
                self._store_pte(MIDDLE + megapage * 8, ram + (megapage << 19))
        self._store_pte(ROOT2 + 2 * 8, ram)
        devices = self.random.choice((0, U)) | V | R | W | A | D
        self._store_pte(ROOT, devices)
        self._store_pte(ROOT + 8, OTHER_LEAVES >> 2 | V)
        self._store_pte(ROOT2 + 8, OTHER_LEAVES >> 2 | V)
        self._store_pte(OTHER_LEAVES, LEAVES >> 2 | V)
        self._store_pte(ROOT48, ROOT >> 2 | V)
        self._store_pte(ROOT48 + 8, ROOT2 >> 2 | V)
        self._store_pte(ROOT57, ROOT48 >> 2 | V)
        for index in range(24):
            self._store_pte(LEAVES + index * 8, self._pte())
        self._store_pte(LEAVES + 0x1F0 * 8, CODE >> 2 | V | R | X | U | A)
        if self.random.random() < 0.6:
            self._store_word(UART_PRIORITY, 1)
            self._store_word(UART_ENABLE, 1 << 10)
            self._emit(f"li t0, {UART:#x}", f"li t1, {self._pick('1', '1', '3')}", "sb t1, 1(t0)",
                       f"li t0, {SEIE:#x}", "csrs sie, t0", self._pick("csrsi sstatus, 2", "nop"))
        satp = self.random.choice((SV39 | ROOT >> 12, SV39 | ROOT >> 12, SV48 | ROOT48 >> 12, SV57 | ROOT57 >> 12))
        vector = HANDLER | (self.random.random() < 0.2)  # a few are vectored: interrupts enter in mid-handler
        self._emit(f"li t0, {vector:#x}", "csrw stvec, t0", f"li t0, {satp:#x}", "csrw satp, t0", "start:")
        for pointer in POINTERS:
            self._emit(f"li {pointer}, {self._address():#x}")

    def _store_pte(self, gpa: int, pte: int) -> None:
        self._emit(f"li t0, {gpa:#x}", f"li t1, {pte:#x}", "sd t1, 0(t0)")

    def _store_word(self, gpa: int, value: int) -> None:
        self._emit(f"li t0, {gpa:#x}", f"li t1, {value:#x}", "sw t1, 0(t0)")

    def _address(self) -> int:
        chance = self.random.random()
        if chance < 0.5:
            page = ALIASES + self.random.randrange(24) * 0x1000 + self.random.choice((0, 0, 0, 0, 0, 1 << 39))
        elif chance < 0.8:
            page = self.random.choice(self.frames)
        elif chance < 0.9:
            page = self.random.choice((0x1000_0000, 0xC20_1000, 0xC00_0000, 0x10_0000, 0x200_0000))
        else:
            page = self.random.choice(
                (0, 0x8100_0000, 0x8080_0000 - 0x1000, 1 << 38, 0xFFFF_FFFF_FFFF_F000, 0xFFFF_FFC0_0000_0000))
        anywhere, entry = self.random.randrange(4096), 8 * self.random.randrange(24)
        offset = self.random.choice((0, 8, 16, 0xFF8, 0xFFC, 0xFFE, 0xFFF, anywhere, entry))
        return page + offset

    # --- the actions

    def _compute(self) -> None:
        to, one, two = (self._pick(*REGISTERS) for _ in range(3))
        name = self._pick("add", "sub", "xor", "mul", "sltu", "sll", "divu", "remw")
        self._emit(f"{name} {to}, {one}, {two}")

    def _point(self) -> None:
        self._emit(f"li {self._pick(*POINTERS)}, {self._address():#x}")

    def _access(self) -> None:
        width, pointer, register = self._pick(*WIDTHS), self._pick(*POINTERS), self._pick(*REGISTERS)
        offset = self.random.choice((0, 0, 0, 8, -8, 1, 4))
        if self.random.random() < 0.5:
            unsigned = "u" if width != "d" and self.random.random() < 0.5 else ""
            self._emit(f"l{width}{unsigned} {register}, {offset}({pointer})")
        else:
            self._emit(f"s{width} {register}, {offset}({pointer})")

    def _atomic(self) -> None:
        width, pointer = self._pick("w", "d"), self._pick(*POINTERS)
        one, two = self._pick(*REGISTERS), self._pick(*REGISTERS)
        if self.random.random() < 0.6:
            self._emit(f"andi {pointer}, {pointer}, {-4 if width == 'w' else -8}")
        choice = self.random.random()
        if choice < 0.3:
            self._emit(f"lr.{width} {one}, ({pointer})")
        elif choice < 0.6:
            self._emit(f"sc.{width} {one}, {two}, ({pointer})")
        elif choice < 0.75:
            self._emit(f"lr.{width} {one}, ({pointer})", "nop", f"sc.{width} {one}, {two}, ({pointer})")
        else:
            self._emit(f"amo{self._pick(*AMOS)}.{width} {one}, {two}, ({pointer})")

    def _edit(self) -> None:
        """Store an entry into a table: at its physical address, or through whatever alias may map it."""
        table = self.random.choices((LEAVES, OTHER_LEAVES, ROOT, MIDDLE), (30, 2, 1, 1))[0]
        index = self.random.randrange(24)
        base = table if self.is_fenced or self.random.random() < 0.7 else ALIASES + self.random.randrange(24) * 0x1000
        if table == ROOT:
            index = self.random.choice((0, 1))
        elif table == MIDDLE:
            index = self.random.choice((2, 3))
        elif table == OTHER_LEAVES:
            index = self.random.choice((0, 1))
        value = self._pte()
        if table == OTHER_LEAVES and self.random.random() < 0.8:
            value = LEAVES >> 2 | V
        name = self._pick("sd", "sd", "sd", "sw", "sb", "amoswap.d", "amoor.d")
        register = self._pick(*REGISTERS[3:])
        mapped = ALIASES + 0x1000 * index + 8 * self.random.randrange(512)
        touch = (f"li s5, {mapped:#x}", self._pick("ld t2, 0(s5)", "sd t2, 0(s5)"))
        if self.random.random() < 0.6:
            self._emit(*touch)  # so that something derives from the entry
        self._emit(f"li s6, {base + 8 * index:#x}", f"li {register}, {value:#x}")
        if name.startswith("amo"):
            self._emit(f"{name} t2, {register}, (s6)")
        else:
            self._emit(f"{name} {register}, 0(s6)")
        if self.is_fenced:
            self._emit("sfence.vma", f"li s6, {DATA:#x}")  # no later store through s6 can be an edit
        if self.random.random() < 0.6:
            self._emit(*touch)

    def _csr(self) -> None:
        name, to, source = self._pick(*CSRS), self._pick("zero", *REGISTERS), self._pick("zero", *REGISTERS)
        if name in ("satp", "stvec", "sstatus"):
            self._emit(f"csrr {to}, {name}")
            return
        if self.random.random() < 0.5:
            self._emit(f"{self._pick('csrrw', 'csrrs', 'csrrc')} {to}, {name}, {source}")
        else:
            self._emit(f"{self._pick('csrrwi', 'csrrsi', 'csrrci')} {to}, {name}, {self.random.randrange(32)}")

    def _status(self) -> None:
        """Flip SUM, MXR, SIE, SPIE or SPP."""
        bit = self.random.choice((18, 18, 18, 19, 19, 1, 1, 5, 8))
        self._emit(f"li t2, {1 << bit:#x}", f"{self._pick('csrs', 'csrs', 'csrc')} sstatus, t2")

    def _switch_space(self) -> None:
        value = self.random.choice(SATPS)
        self._emit(f"li t2, {value:#x}", "csrw satp, t2")

    def _fence(self) -> None:
        self._emit(self._pick(
            "sfence.vma", "sfence.vma s4, x0", "sfence.vma x0, t0", "sfence.vma s5, t1", "fence.i", "fence"))

    def _call(self) -> None:
        kind = self.random.randrange(7)
        if kind == 0:  # TIME: soon
            self._emit("rdtime a0", f"addi a0, a0, {self.random.randrange(30)}", "li a7, 0x54494D45", "li a6, 0",
                       "ecall", "li t2, 0x20", "csrs sie, t2")
        elif kind == 1:  # IPI to ourselves
            self._emit("li a0, 1", "li a1, 0", "li a7, 0x735049", "li a6, 0", "ecall", "csrsi sie, 2")
        elif kind == 2:  # DBCN read or write, of what may be a table
            address = self.random.choice((*self.frames, 0x8080_0000 - 4)) + 8 * self.random.randrange(24)
            self._emit(f"li a0, {self.random.randrange(20)}", f"li a1, {address:#x}", "li a2, 0", "li a7, 0x4442434E",
                       f"li a6, {self.random.randrange(4)}", "ecall")
        elif kind == 3:  # anything at all, but the calls that end or suspend the program
            extension = self.random.choice((0x10, 1, 2, 3, 0x52464E43, 0x99))
            self._emit(f"li a7, {extension:#x}", f"li a6, {self.random.randrange(8)}", "ecall")
        elif kind == 4:  # FWFT: A and D, by the hart or by the guest
            self._emit("li a0, 4", f"li a1, {self.random.choice((1, 1, 1, 0))}", "li a2, 0", "li a7, 0x46574654",
                       "li a6, 0", "ecall")
        elif kind == 5:  # PMU: configure and start, start or stop some counters
            flags, selector = self.random.randrange(8), self.random.randrange(1, 4)
            event = self.random.choice((1, 2, 0x30000, 0xF0005, 0xF0100))
            selector *= event == 0x30000
            self._emit(f"li a0, {self.random.choice((0, 0, 2, 3, 11))}", f"li a1, {self.random.choice((1, 5, 0xFD))}",
                       f"li a2, {flags}", f"li a3, {event:#x}", f"li a4, {selector}",
                       "li a7, 0x504d55", f"li a6, {self.random.choice((2, 2, 2, 3, 4, 5))}", "ecall")
        else:
            self._emit("csrsi sip, 2", "csrsi sie, 2")

    def _enter_user(self) -> None:
        """Go on in U-mode, on the other mapping of this very page; or try it in S-mode, which must not execute it."""
        self.labels += 1
        label = f"user{self.labels}"
        change = "csrs" if self.random.random() < 0.2 else "csrc"
        self._emit("li t2, 0x100", f"{change} sstatus, t2", f"la t1, {label}", "li t0, 0xfff", "and t1, t1, t0",
                   f"li t0, {USER_CODE:#x}", "or t1, t1, t0", "csrw sepc, t1", "sret", f"{label}:")

    def _enter_supervisor(self) -> None:
        """An ecall with s11 set: the handler comes back in S-mode, at the physical address."""
        self._emit("li s11, 1", "li a7, 0x10", "li a6, 3", "ecall", "li s11, 0")

    def _float(self) -> None:
        """Change FS, compute with any registers, or load and store where the pointers lead."""
        kind = self.random.randrange(5)
        if kind == 0:
            bits = self._pick("0x2000", "0x4000", "0x6000", "0x6000")
            self._emit(f"li t2, {bits}", f"{self._pick('csrs', 'csrs', 'csrs', 'csrc')} sstatus, t2")
        elif kind == 1:
            name = self._pick("fcsr", "frm", "fflags")
            how, source = self._pick("csrrw", "csrrs", "csrrc"), self._pick("zero", "t0")
            self._emit(f"{how} {self._pick(*REGISTERS)}, {name}, {source}")
        elif kind == 2:
            name, pointer = self._pick("flh", "flw", "fld", "fsh", "fsw", "fsd", "fld", "fsd"), self._pick(*POINTERS)
            self._emit(f"{name} f{self.random.randrange(32)}, {self.random.choice((0, 0, 8, -8, 1, 4))}({pointer})")
        else:
            row = self.random.choice(FLOATS)
            self._emit(f".word {row.match | self.random.getrandbits(32) & ~row.mask:#x}")

    def _patch(self) -> None:
        """Store an instruction over one that comes soon, or came before: at its own address, or through any alias.

        Where there is a fence.i it may come before the store, after it, or after the changed code: none must matter.
        """
        self.labels += 1
        label = f"patch{self.labels}"
        self.patches.append(label)
        place = self._pick(label, label, label, "start", self._pick(*self.patches))
        new = self._instruction()
        width, offset = self.random.choice((("w", 0), ("w", 0), ("w", 0), ("h", 0), ("h", 2), ("d", 0), ("d", -4)))
        if self.random.random() < 0.2:
            self._emit(f"li s4, {ALIASES + 0x1000 * self.random.randrange(24):#x}", f"la t1, {place}", "li t2, 0xfff",
                       "and t1, t1, t2", "or t1, t1, s4")
        else:
            self._emit(f"la t1, {place}")
        self._emit(f"li t2, {new | self._instruction() << 32:#x}")
        if self.random.random() < 0.15:
            self._emit("fence.i")
        atomic = self.random.random() < 0.15 and width != "h" and not offset
        self._emit(f"amoswap.{width} a0, t2, (t1)" if atomic else f"s{width} t2, {offset}(t1)")
        if self.random.random() < 0.35:
            self._emit("fence.i")
        for _ in range(self.random.choice((0, 0, 1, 3))):
            self._compute()
        old = assemble(f"addi {self._pick(*REGISTERS)}, zero, {self.random.randrange(-9, 9)}").code
        self._emit(f"{label}:", f".word {int.from_bytes(old, 'little'):#x}")

    def _instruction(self) -> int:
        """Four bytes of code: a computation, something that traps, or two compressed instructions."""
        chance = self.random.random()
        if chance < 0.6:
            text = f"{self._pick('addi', 'xori', 'slli')} {self._pick(*REGISTERS)}, {self._pick(*REGISTERS)}, 7"
        elif chance < 0.85:
            text = f"c.addi {self._pick(*REGISTERS)}, 5\nc.mv {self._pick(*REGISTERS)}, s9"
        else:
            text = self._pick(
                "ebreak", ".word 0", "csrr a0, sscratch", "sfence.vma", "beq zero, zero, .+8", "rdcycle t0")
        return int.from_bytes(assemble(text).code, "little")

    def _external(self) -> None:
        """Let the serial port interrupt by way of the PLIC, look whether it does, or answer it."""
        kind = self.random.randrange(4)
        if kind == 0:
            enables = self.random.choice((1, 1, 2, 3, 0))  # received data, transmitter empty
            self._emit(f"li s4, {UART:#x}", f"li t2, {enables}", "sb t2, 1(s4)", f"li t2, {SEIE:#x}", "csrs sie, t2")
        elif kind == 1:
            self._emit(f"li s4, {UART_PRIORITY:#x}", f"li t2, {self._pick('1', '1', '7', '0')}", "sw t2, 0(s4)",
                       f"li s4, {UART_ENABLE:#x}", f"li t2, {self._pick('0x400', '0x400', '-1', '0')}", "sw t2, 0(s4)",
                       f"li t2, {SEIE:#x}", f"{self._pick('csrs', 'csrs', 'csrc')} sie, t2", "csrsi sstatus, 2")
        elif kind == 2:
            self._emit(f"li s4, {CLAIM:#x}", "lw t0, 0(s4)", f"li s5, {UART:#x}", "lbu t1, 0(s5)", "sw t0, 0(s4)")
        else:
            self._emit("csrr t0, sip", f"li s5, {UART:#x}", f"lbu t1, {self._pick('0', '2', '5')}(s5)",
                       f"li t2, {SEIE:#x}", "csrs sie, t2", "csrsi sstatus, 2")

    def _odd(self) -> None:
        """What traps, what waits, and what must not work."""
        self._emit(self._pick(
            "ebreak", ".word 0", ".word 0xffffffff", "mret", "rdcycle t0", "rdinstret t1", "wfi", "sret", "sfence.vma",
            "hfence.gvma x0, x0", "hlv.w t0, (s4)", "csrw cycle, t0", "ecall", "hsv.d t0, (s5)"))

    def _raw(self) -> None:
        """Any instruction with any operands; two, where they are compressed."""
        row = self.random.choice(STRAIGHT)
        length = 8 * row.length
        for _ in range(32 // length):
            insn = row.match | self.random.getrandbits(length) & ~row.mask
            self._emit(f".{'word' if length == 32 else 'half'} {insn:#x}")


# s9 gathers; s10, s8, s7 are the handler's. Exceptions: skip 4 bytes. Fetch faults, and ecalls with s11 set: on to the
# supervisor's mapping. Interrupts: mask what came, so that it does not come again at once.
HANDLER_TEXT = """
    .word 0x00000013
    csrr s10, scause
    csrr s8, sepc
    slli s9, s9, 1
    xor s9, s9, s10
    add s9, s9, s8
    csrr s7, stval
    xor s9, s9, s7
    bltz s10, interrupt
    addi s8, s8, 4
    li s7, 12
    beq s10, s7, recover
    li s7, 1
    beq s10, s7, recover
    li s7, 8
    bne s10, s7, done
    beqz s11, done
recover:
    li s7, 0xfff
    and s8, s8, s7
    li s7, 0x80201000
    or s8, s8, s7
    li s7, 0x100
    csrs sstatus, s7
done:
    csrw sepc, s8
    sret
interrupt:
    csrci sip, 2
    li s7, 0x220
    csrc sie, s7
    sret
""".strip().splitlines()


def program(seed: int, length: int = 60, is_fenced: bool = False) -> Image:
    """The program of this seed."""
    code = assemble(Writer(seed, is_fenced).text(length), HANDLER).code
    return Image(f"program {seed}", CODE, (Segment(HANDLER, code, len(code)),), b"")
