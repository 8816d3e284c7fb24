"""Random programs that are worth comparing: all five modes, both stages of translation, traps, delegation, CSRs,
atomics, changed code."""

from __future__ import annotations

import random

from hartvisor.core.isa.assembler import assemble

from . import qemu_words as words
from .qemu_layout import (
    ACT_JUMP,
    ACT_MODE,
    ACT_PTE,
    ACT_SHORT,
    ALIAS,
    ARENA,
    ARENA_SIZE,
    CODE,
    DATA,
    FRAMES,
    G_L0,
    G_L1,
    G_ROOT,
    MAX_TRAPS,
    MODES,
    N_CODE,
    N_DATA,
    S_HANDLER,
    S_L0,
    S_L1,
    S_ROOT,
    TIMERS,
    VS_HANDLER,
    VS_L0,
    VS_L1,
    VS_ROOT,
    Action,
    Program,
    csr,
)

U64 = (1 << 64) - 1
SV39 = 8 << 60
V, R, W, X, U, G, A, D = (1 << bit for bit in range(8))
TABLES = (*range(G_ROOT, G_ROOT + 4), S_ROOT, S_L1, S_L0, VS_ROOT, VS_L1, VS_L0, G_L1, G_L0)
CODE_FRAMES, DATA_FRAMES = range(CODE, CODE + N_CODE), range(DATA, DATA + N_DATA)

# The handlers of delegated traps fold what they see into x27. What cannot be fetched, and every interrupt, is
# M-mode's to settle.
_HANDLER = """
    csrr x24, {x}cause
    csrr x25, {x}epc
    csrr x26, {x}tval
    slli x27, x27, 1
    xor x27, x27, x24
    add x27, x27, x25
    xor x27, x27, x26
    {more}
    bltz x24, interrupt
    addi x30, x30, -1
    bgtz x30, goes_on
    li x30, 16
    ecall
goes_on:
    li x26, {fetch:#x}
    srl x26, x26, x24
    andi x26, x26, 1
    beqz x26, skip
    ecall
skip:
    addi x25, x25, {length}
    csrw {x}epc, x25
    sret
interrupt:
    {mask}
    sret
"""
_FETCH_CAUSES = 1 << 0 | 1 << 1 | 1 << 12 | 1 << 20
_MORE = "csrr x26, htval\nadd x27, x27, x26"


def frame_address(frame: int) -> int:
    """Where a frame of the arena lies."""
    return ARENA + (frame << 12)


def _handlers() -> dict[tuple[int, int], bytes]:
    codes = {}
    for frame, more, mask in ((S_HANDLER, _MORE, "csrw sie, x0\ncsrw hie, x0"), (VS_HANDLER, "nop", "csrw sie, x0")):
        for length in (2, 4):
            text = _HANDLER.format(x="s", more=more, mask=mask, fetch=_FETCH_CAUSES, length=length)
            codes[frame, length] = assemble(text, frame_address(frame)).code
    return codes


_HANDLERS = _handlers()


def make_program(seed: int, *, delegates: bool = False) -> Program:
    """The program of `seed`. delegates: whether traps may go to HS-mode and VS-mode too."""
    return _Maker(seed, delegates).program()


class _Maker:
    def __init__(self, seed: int, delegates: bool) -> None:
        self.rng = random.Random(seed)
        self.seed = seed
        # Some programs are about translation and traps, others hardly leave one mode.
        self.calm = self.rng.random() < 0.4
        self.direct = not delegates  # all traps to M-mode, each in the log

    def program(self) -> Program:
        frames = {frame: bytearray(4096) for frame in (*CODE_FRAMES, S_HANDLER, VS_HANDLER, *DATA_FRAMES, *TABLES)}
        code = self._code()
        for frame in CODE_FRAMES:
            frames[frame][:] = code[(frame - CODE) << 12 : (frame - CODE + 1) << 12]
        for frame in (S_HANDLER, VS_HANDLER):
            handler = _HANDLERS[frame, self.rng.choice((2, 4, 4, 4))]
            frames[frame][: len(handler)] = handler
        for frame in DATA_FRAMES:
            frames[frame][:] = self.rng.randbytes(4096)
        self._tables(frames)
        registers = [self._value() for _ in range(31)]
        for pointer in words.POINTERS:
            registers[pointer - 1] = self._address()
        registers[words.BASE - 1] = ARENA
        registers[28 - 1], registers[30 - 1] = 3, 16
        kept = {frame: data for frame, data in frames.items() if any(data)}
        return Program(
            self.seed, kept, registers, self._csrs(), self._mode(), [self._action() for _ in range(MAX_TRAPS)]
        )

    # --- code

    def _code(self) -> bytes:
        """Four pages of code, blocks of it in loops; it runs on over page borders."""
        code = bytearray()
        size = N_CODE << 12
        while len(code) < size - 64:
            body = self._block()
            if self.rng.random() < 0.35 and len(body) < 900:
                count = self.rng.randrange(2, 24)
                end = words.BY_NAME["blt"]
                body = words.li(28, count)[0].to_bytes(4, "little") + body
                # x28 counts down; the branch goes back to the first instruction behind its setting
                body += (0x13 | 28 << 7 | 28 << 15 | 0xFFF << 20).to_bytes(4, "little")
                back = end.format.operands["imm"].insert(4 - len(body))
                body += (end.match | back | 28 << 20).to_bytes(4, "little")
            code += body
        del code[size:]
        ecall = (0x73).to_bytes(4, "little")
        code += ecall * ((size - len(code)) // 4 + 1)
        return bytes(code[:size])

    def _block(self) -> bytes:
        block = bytearray()
        for _ in range(self.rng.randrange(3, 22)):
            for word in self._action_words():
                block += word.to_bytes(4 if word & 3 == 3 else 2, "little")
        return bytes(block)

    def _action_words(self) -> list[int]:
        rng = self.rng
        chance = rng.random() * (0.83 if self.calm else 1)
        if chance < 0.24:
            return [words.compute(rng)]
        if chance < 0.36:
            return [rng.choice(words.compressed_pool())]
        if chance < 0.50:
            return [words.load(rng, rng.choice(words.POINTERS), self._offset())]
        if chance < 0.60:
            return [words.store(rng, rng.choice(words.POINTERS), self._offset())]
        if chance < 0.66:
            return self._new_pointer()
        if chance < 0.70:
            return [words.branch(rng, rng.choice((6, 8, 10, 12, 16, 20, 2)))]
        if chance < 0.74:
            return self._aligned(words.atomic)
        if chance < 0.76:
            # After an LR that trapped, its SC has no reservation: the manual lets it fault or fail. M-mode's log
            # tells which.
            return self._aligned(words.reserve if self.direct else words.atomic)
        if chance < 0.86:
            return [words.csr_access(rng)]
        if chance < 0.91:
            return [words.guest_access(rng, rng.choice(words.POINTERS), has_hlvx=False)]
        if chance < 0.93:
            return self._set_csr()
        if chance < 0.95:
            return self._jump()
        if chance < 0.965:
            return self._change_code()
        if chance < 0.98:
            if rng.random() < 0.5:
                return self._return()
            return [
                rng.choice((0x73, 0x73, 0x00100073, 0x0000100F, 0x9002, 0x12000073, 0x22000073, 0x62000073, 0x10200073))
            ]
        if chance < 0.99:
            row = rng.choice(words.FENCES)
            return [row.match | rng.getrandbits(32) & ~row.mask]
        return [rng.getrandbits(32) | 3 if rng.random() < 0.5 else 0]

    def _offset(self) -> int:
        return self.rng.choice((0, 0, 8, -8, 4, 1, 2, 16, self.rng.randrange(-64, 64), self.rng.randrange(-2048, 2048)))

    def _aligned(self, make: object) -> list[int]:
        pointer = self.rng.choice(words.POINTERS[3:])
        made = make(self.rng, pointer)  # type: ignore[operator]
        align = [0x7013 | pointer << 7 | pointer << 15 | 0xFF8 << 20] if self.rng.random() < 0.7 else []
        return [*align, *(made if isinstance(made, list) else [made])]

    def _new_pointer(self) -> list[int]:
        pointer = self.rng.choice(words.POINTERS)
        address = self._address()
        if ARENA <= address < ARENA + ARENA_SIZE and self.rng.random() < 0.9:
            return [*words.li(31, address - ARENA), 0x33 | pointer << 7 | 31 << 15 | words.BASE << 20]
        return words.li(pointer, address)

    def _set_csr(self) -> list[int]:
        """A value that means something, into a CSR that takes one."""
        rng = self.rng
        names = [
            "satp",
            "vsatp",
            "hgatp",
            "sepc",
            "mepc",
            "vsepc",
            "stvec",
            "vstvec",
            "mstatus",
            "sstatus",
            "hstatus",
            "vsstatus",
            "hedeleg",
        ]
        name = rng.choice(names if self.direct else [*names, "medeleg", "hvip", "vsip", "mip", "mie"])
        value = self._csrs().get(name, 0)
        how = 1
        if name in ("hvip", "vsip", "mip"):
            value = rng.getrandbits(14) & {"hvip": 0x444, "vsip": 2, "mip": 0x226}[name]
        elif name in ("mstatus", "sstatus", "hstatus", "vsstatus"):
            how = rng.choice((2, 3))  # single fields, never the widths
            bits = {"mstatus": (1, 3, 5, 7, 8, 17, 18, 19, 20, 21, 22), "hstatus": (6, 7, 8, 9, 20, 21, 22)}
            value = 1 << rng.choice(bits.get(name, (1, 5, 8, 18, 19)))
        return [*words.li(31, value), how << 12 | 0x73 | 31 << 15 | csr(name) << 20]

    def _jump(self) -> list[int]:
        """To some place further on."""
        return [0x17 | 31 << 7, 0x67 | 31 << 15 | self.rng.choice((0, 1)) << 7 | self._distance() << 20]

    def _distance(self) -> int:
        """Bytes forward: a program that jumps backward may never end."""
        return self.rng.choice((10, 12, 14, 16, 24, 32, self.rng.randrange(10, 400, 2)))

    def _return(self) -> list[int]:
        """SRET or MRET to what comes soon."""
        level = self.rng.choice("sm")
        return [
            0x17 | 31 << 7,
            0x13 | 31 << 7 | 31 << 15 | (6 + self._distance()) << 20,
            0x1073 | 31 << 15 | csr(level + "epc") << 20,
            0x10200073 if level == "s" else 0x30200073,
        ]

    def _change_code(self) -> list[int]:
        """Store an instruction into the code, and fence."""
        rng = self.rng
        address = rng.choice(CODE_FRAMES) * 4096 + rng.randrange(0, 4096, 2)
        return [
            *words.li(31, address),
            0x33 | 31 << 7 | 31 << 15 | words.BASE << 20,
            *words.li(15, words.compute(rng)),
            0x2023 | 31 << 15 | 15 << 20,
            0x0000100F,
        ]

    # --- values

    def _value(self) -> int:
        rng = self.rng
        return rng.choice(
            (
                0,
                1,
                U64,
                1 << 63,
                1 << 31,
                (1 << 63) - 1,
                rng.getrandbits(64),
                rng.getrandbits(32),
                rng.getrandbits(12),
                1 << rng.randrange(64),
                U64 << rng.randrange(64) & U64,
                self._address(),
            )
        )

    def _address(self) -> int:
        """Mostly in the data pages, by either address; seldom nowhere."""
        rng = self.rng
        offset = rng.choice((rng.randrange(0, 4096, 8), rng.randrange(4096), 0xFF8, 0xFFC, 0xFFE, 0xFFF, 0))
        chance = rng.random()
        base = ARENA if chance < 0.6 else ALIAS
        if chance > 0.98:
            return rng.choice((0x1400_0000, 1 << 38, U64 << 38 & U64, ARENA + ARENA_SIZE, 1 << 41, 1 << 50)) + offset
        frame = rng.choice(DATA_FRAMES) if rng.random() < 0.95 else rng.choice((10, 11, 16, 17, 26, 27, 28))
        return base + (frame << 12) + offset

    def _pc(self) -> int:
        base = ARENA if self.rng.random() < 0.75 else ALIAS
        return base + (self.rng.choice(CODE_FRAMES) << 12) + self.rng.choice((0, 0xFFE, self.rng.randrange(0, 4096, 2)))

    def _mode(self) -> int:
        return MODES[self.rng.choice(("M", "S", "U", "VS", "VU", "S", "VS", "U", "VU"))]

    def _csrs(self) -> dict[str, int]:
        rng = self.rng
        napot = (1 << 54) - 1
        config = 0x1F  # entry 3: the arena, open to all; what lies before it in order may close parts of it
        ranges = [(frame_address(rng.randrange(FRAMES)) >> 2) | rng.choice((0x1FF, 0x3FF)) for _ in range(3)]
        low = rng.getrandbits(24) & 0x070707 | 0x181818 if rng.random() < 0.1 else 0
        # What cannot be fetched mostly goes to M-mode, or a handler that cannot be fetched would never end.
        kept = _FETCH_CAUSES if rng.random() < 0.85 else 0
        low &= ~sum(2 << 8 * i for i in range(3) if low >> 8 * i & 3 == 2)
        medeleg = 0 if self.direct else rng.choice((U64, rng.getrandbits(24))) & 0xF0FFFF
        values = {
            "pmpcfg0": config << 24 | low,
            "pmpaddr3": (ARENA >> 2) | (ARENA_SIZE >> 3) - 1 & napot,
            "pmpaddr0": ranges[0],
            "pmpaddr1": ranges[1],
            "pmpaddr2": ranges[2],
            "stvec": frame_address(S_HANDLER),
            "vstvec": frame_address(VS_HANDLER),
            "medeleg": medeleg & ~(1 << 9 | 1 << 10 | kept),
            "mideleg": 0 if self.direct else rng.getrandbits(11),
            "hedeleg": rng.choice((0, U64, rng.getrandbits(24))) & 0xFFFF,
            "hideleg": rng.getrandbits(11),
            "mie": 1 << rng.choice((1, 2, 5, 6, 9, 10)) if rng.random() < 0.4 and not self.direct else 0,
            "mip": rng.getrandbits(14) & 0x226 if rng.random() < 0.3 and not self.direct else 0,
            "hvip": rng.getrandbits(14) & 0x444 if rng.random() < 0.2 and not self.direct else 0,
            "mcounteren": rng.getrandbits(32),
            "scounteren": rng.getrandbits(32),
            "hcounteren": rng.getrandbits(32),
            "menvcfg": rng.getrandbits(1),
            "senvcfg": rng.getrandbits(1),
            "henvcfg": rng.getrandbits(1),
            # MPRV and, below, the trap bits are for the programs themselves to set
            "mstatus": 0xA << 32
            | rng.getrandbits(20) & ~(1 << 17 | 3 << 11 | 0x1E600)
            | rng.choice((0, 0, 1 << 20, 1 << 21, 1 << 22)),
            "vsstatus": 2 << 32 | rng.getrandbits(20) & 0xC0122,
            "hstatus": 2 << 32 | rng.getrandbits(10) & 0x3C0 | rng.choice((0, 0, 0, 1 << 20, 1 << 21, 1 << 22)),
            "satp": rng.choice((0, SV39, SV39)) | rng.getrandbits(4) << 44 | frame_address(S_ROOT) >> 12,
            "vsatp": rng.choice((0, SV39, SV39)) | rng.getrandbits(4) << 44 | frame_address(VS_ROOT) >> 12,
            "hgatp": rng.choice((0, SV39, SV39)) | rng.getrandbits(4) << 44 | frame_address(G_ROOT) >> 12,
            "htimedelta": rng.getrandbits(64),
            "sscratch": rng.getrandbits(64),
            "vsscratch": rng.getrandbits(64),
        }
        values |= dict.fromkeys(TIMERS, U64)
        for name in ("sepc", "vsepc", "mepc"):
            values[name] = self._pc()
        return values

    # --- tables

    def _leaf(self, frame: int, is_guest_stage: bool) -> int:
        """An entry for a frame of the arena: mostly itself, mostly usable."""
        rng = self.rng
        chance = rng.random()
        if frame in TABLES:  # never writable: QEMU would need a fence after every store
            return (
                frame_address(frame) >> 2 | V | R | A | (U if is_guest_stage or chance < 0.2 else 0)
                if chance < 0.97
                else 0
            )
        target = frame
        if frame in CODE_FRAMES:
            target = frame if chance < 0.85 else rng.choice(CODE_FRAMES)
        elif frame in DATA_FRAMES:
            target = frame if chance < 0.8 else rng.choice(DATA_FRAMES)
        flags = V | R | W | X | A | D
        if rng.random() < 0.06 and frame not in (S_HANDLER, VS_HANDLER):
            flags = (
                rng.getrandbits(8)
                if rng.random() < 0.5
                else V | rng.choice((R | A, R | X | A, X | A, R | W | A | D, R | W | A, R | W | D, W | A))
            )
        elif is_guest_stage:
            flags |= U if rng.random() < 0.97 else 0
        elif frame not in (S_HANDLER, VS_HANDLER):
            flags |= U if rng.random() < 0.5 else 0
        pte = frame_address(target) >> 2 | flags | rng.getrandbits(2) << 8
        if rng.random() < 0.01:
            pte |= 1 << rng.randrange(54, 64)
        if rng.random() < 0.005:
            pte = 0x1400_0000 >> 2 | flags  # no memory there
        return pte

    def _entry(self) -> tuple[int, int]:
        """The address and a new value of an entry of one of the last-level tables."""
        table = self.rng.choice((S_L0, VS_L0, G_L0))
        frame = self.rng.choice((*CODE_FRAMES, *DATA_FRAMES))
        return frame_address(table) + 8 * (0x100 + frame), self._leaf(frame, table == G_L0)

    def _tables(self, frames: dict[int, bytearray]) -> None:
        for root, middle, last in ((S_ROOT, S_L1, S_L0), (VS_ROOT, VS_L1, VS_L0), (G_ROOT, G_L1, G_L0)):
            is_guest_stage = root == G_ROOT

            def put(frame: int, index: int, value: int) -> None:
                frames[frame + (index >> 9)][8 * (index & 511) : 8 * (index & 511) + 8] = value.to_bytes(8, "little")

            extra = self.rng.choice((0, 0, 0, 0, G, A, D, U)) if self.rng.random() < 0.05 else 0
            put(root, 0, frame_address(middle) >> 2 | V)
            put(root, 2, frame_address(middle) >> 2 | V | extra)
            put(middle, 0, frame_address(last) >> 2 | V)
            put(middle, (ALIAS >> 21) & 511, frame_address(last) >> 2 | V)
            for frame in range(FRAMES):
                put(last, 0x100 + frame, self._leaf(frame, is_guest_stage))

    def _action(self) -> Action:
        rng = self.rng
        flags = (ACT_JUMP if rng.random() < 0.4 else 0) | (ACT_SHORT if rng.random() < 0.15 else 0)
        if rng.random() < 0.35:
            flags |= ACT_MODE | ACT_JUMP
        address, value = self._entry()
        if rng.random() < 0.2:
            flags |= ACT_PTE
        return Action(flags, self._mode(), self._pc(), address, value)
