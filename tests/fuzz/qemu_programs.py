"""Random programs that are worth comparing: all five modes, both stages of translation, traps, delegation, CSRs,
atomics, changed code."""

from __future__ import annotations

from hartvisor.core.isa.assembler import assemble
from hartvisor.core.isa.instructions import BY_NAME

from . import qemu_words as words
from .qemu_layout import (
    ACT_JUMP,
    ACT_MODE,
    ACT_PTE,
    ACT_SHORT,
    ACT_STAY,
    ARENA,
    ARENA_SIZE,
    CODE,
    MAX_TRAPS,
    N_CODE,
    S_HANDLER,
    VS_HANDLER,
    Action,
    Program,
    csr,
)
from .qemu_state import (
    CODE_FRAMES,
    DATA_FRAMES,
    FETCH_CAUSES,
    GUEST_IRQS,
    SUPERVISOR_IRQS,
    TABLES,
    State,
    frame_address,
)

N_BLOCKS = 72  # different ones in a program; its four pages of code hold about three times as many
MPP_SHIFT, MPP, MPRV = 11, 3 << 11, 1 << 17
_CSRRS_MSTATUS, _CSRRC_MSTATUS = (how << 12 | 0x73 | 31 << 15 | csr("mstatus") << 20 for how in (2, 3))
SSI, VSSI = 1 << 1, 1 << 2
# The handlers of delegated traps fold what they see into x27: cause and epc; tval and htval where QEMU has them as the
# manual says. What cannot be fetched, and every interrupt, is M-mode's to settle.
_HANDLER = """
    csrr x24, scause
    csrr x25, sepc
    slli x27, x27, 1
    xor x27, x27, x24
    add x27, x27, x25
    bltz x24, interrupt
    li x26, {told:#x}
    srl x26, x26, x24
    andi x26, x26, 1
    beqz x26, without_tval
    csrr x26, stval
    xor x27, x27, x26
without_tval:
    {more}
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
    csrw sepc, x25
    sret
interrupt:
    {mask}
    sret
"""
_TOLD = 1 << 2 | 1 << 4 | 1 << 6 | 0xF << 12 | 0xF << 20
_MORE = f"""
    li x26, {0xF << 20 & ~(1 << 22):#x}
    srl x26, x26, x24
    andi x26, x26, 1
    beqz x26, without_htval
    csrr x26, htval
    add x27, x27, x26
without_htval:
"""


def _handlers() -> dict[tuple[int, int], bytes]:
    codes = {}
    for frame, more, mask in ((S_HANDLER, _MORE, "csrw sie, x0\ncsrw hie, x0"), (VS_HANDLER, "nop", "csrw sie, x0")):
        for length in (2, 4):
            text = _HANDLER.format(told=_TOLD, more=more, mask=mask, fetch=FETCH_CAUSES, length=length)
            codes[frame, length] = assemble(text, frame_address(frame)).code
    return codes


_HANDLERS = _handlers()


def make_program(seed: int, *, delegates: bool = False) -> Program:
    """The program of `seed`. delegates: whether traps may go to HS-mode and VS-mode too, as they do with every fourth
    seed in any case."""
    return _Maker(seed, delegates or seed % 4 == 3).program()


class _Maker(State):
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
        self.fill_tables(frames)
        registers = [self.value() for _ in range(31)]
        for pointer in words.POINTERS:
            registers[pointer - 1] = self.address()
        registers[words.BASE - 1] = ARENA
        registers[28 - 1], registers[30 - 1] = 3, 16
        kept = {frame: data for frame, data in frames.items() if any(data)}
        actions = [self._action() for _ in range(MAX_TRAPS)]
        return Program(self.seed, kept, registers, self.float_state(), self.csrs(), self.mode(), actions)

    # --- code

    def _code(self) -> bytes:
        """Four pages of code, blocks of it in loops; it runs on over page borders."""
        code = bytearray(b"".join(word.to_bytes(4, "little") for word in self._as_trapped()) if self.has_stay else b"")
        size = N_CODE << 12
        pool = [self._loop_or_block() for _ in range(N_BLOCKS)]
        while len(code) < size - 64:
            code += self.rng.choice(pool)
        del code[size:]
        ecall = (0x73).to_bytes(4, "little")
        code += ecall * ((size - len(code)) // 4 + 1)
        return bytes(code[:size])

    def _loop_or_block(self) -> bytes:
        body = self._block()
        if self.rng.random() > (0.8 if self.is_steady else 0.35) or len(body) > 900:
            return body
        count = self.rng.randrange(20, 150) if self.is_steady else self.rng.randrange(2, 24)
        # x28 counts down, at the loop's head, so that a branch over its end leaves it
        count_down = (0x13 | 28 << 7 | 28 << 15 | 0xFFF << 20).to_bytes(4, "little")
        body = words.li(28, count)[0].to_bytes(4, "little") + count_down + body
        end = BY_NAME["blt"]
        back = end.format.operands["imm"].insert(4 - len(body))
        return body + (end.match | back | 28 << 20).to_bytes(4, "little")

    def _block(self) -> bytes:
        block = bytearray()
        for _ in range(self.rng.randrange(3, 22)):
            for word in self._action_words():
                block += word.to_bytes(4 if word & 3 == 3 else 2, "little")
        return bytes(block)

    def _action_words(self) -> list[int]:
        rng = self.rng
        chance = rng.random() * {"wild": 1, "calm": 0.79, "steady": 0.70}[self.kind]
        if chance < 0.24:
            return [words.compute(rng)]
        if chance < 0.36:
            return [rng.choice(words.compressed_pool())]
        if chance < 0.48:
            return [words.load(rng, rng.choice(words.POINTERS), self._offset())]
        if chance < 0.57:
            return [words.store(rng, rng.choice(words.POINTERS), self._offset())]
        if chance < 0.61:
            return self._new_pointer()
        if chance < 0.65:
            return [words.branch(rng, rng.choice((6, 8, 10, 12, 16, 20, 2)))]
        if chance < 0.68:
            return self._aligned(words.atomic)
        if chance < 0.70:
            # After an LR that trapped, its SC has no reservation: the manual lets it fault or fail. M-mode's log
            # tells which.
            return self._aligned(words.reserve if self.direct else words.atomic)
        if chance < 0.71:
            return self._cache_block()
        if chance < 0.79:
            return [words.csr_access(rng)]
        return self._privileged_words((chance - 0.79) / 0.21)

    def _privileged_words(self, chance: float) -> list[int]:
        """What only wild programs do."""
        rng = self.rng
        if chance < 0.24:
            return [words.guest_access(rng, rng.choice(words.POINTERS), has_hlvx=self.direct)]
        if chance < 0.34:
            return self._set_csr()
        if chance < 0.44:
            return self._set_pending() if self.has_interrupts else self._set_csr()
        if chance < 0.49:
            return self._as_other_mode()
        if chance < 0.59:
            return self._jump()
        if chance < 0.66:
            return self._change_code()
        if chance < 0.81:
            return self._return()
        if chance < 0.89:
            return [
                rng.choice((0x73, 0x73, 0x00100073, 0x0000100F, 0x9002, 0x12000073, 0x22000073, 0x62000073, 0x10200073))
            ]
        if chance < 0.96:
            row = rng.choice(words.FENCES)
            return [row.match | rng.getrandbits(32) & ~row.mask]
        return [rng.getrandbits(32) | 3 if rng.random() < 0.5 else 0]

    def _offset(self) -> int:
        if self.is_steady:
            return self.rng.choice((0, 0, 8, -8, 4, 1, 2, 16, self.rng.randrange(-64, 64)))
        return self.rng.choice((0, 0, 8, -8, 4, 1, 2, 16, self.rng.randrange(-64, 64), self.rng.randrange(-2048, 2048)))

    def _aligned(self, make: object) -> list[int]:
        pointer = self.rng.choice(words.POINTERS[3:])
        made = make(self.rng, pointer)  # type: ignore[operator]
        is_aligned = self.is_steady or self.rng.random() < 0.7
        align = [0x7013 | pointer << 7 | pointer << 15 | 0xFF8 << 20] if is_aligned else []
        return [*align, *(made if isinstance(made, list) else [made])]

    def _cache_block(self) -> list[int]:
        """A cache-block instruction; QEMU's tval is the block's address, so a handler that folds it gets just that."""
        pointer = self.rng.choice(words.POINTERS)
        align = [] if self.direct else [0x7013 | pointer << 7 | pointer << 15 | 0xFC0 << 20]
        return [*align, words.cache_block(self.rng, pointer)]

    def _new_pointer(self) -> list[int]:
        pointer = self.rng.choice(words.POINTERS)
        address = self.address()
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
            "mstateen0",
            "hstateen0",
        ]
        name = rng.choice(names if self.direct else [*names, "medeleg", "mideleg"])
        value = self.csrs().get(name, 0)
        how = 1
        if name in ("mstatus", "sstatus", "hstatus", "vsstatus"):
            how = rng.choice((2, 3))  # single fields, never the widths
            bits = {"mstatus": (1, 3, 5, 7, 8, 13, 14, 17, 18, 19, 20, 21, 22), "hstatus": (6, 7, 8, 9, 20, 21, 22)}
            value = 1 << rng.choice(bits.get(name, (1, 5, 8, 13, 14, 18, 19)))
        return [*words.li(31, value), how << 12 | 0x73 | 31 << 15 | csr(name) << 20]

    def _set_pending(self) -> list[int]:
        """Make interrupts pending, or enable them, or take that back."""
        rng = self.rng
        own, guest = SUPERVISOR_IRQS, GUEST_IRQS
        masks = {
            "mip": own, "hvip": guest, "sip": SSI, "vsip": SSI, "hip": VSSI,
            "mie": own | guest, "sie": own, "hie": guest, "vsie": own, "hideleg": guest,
        }  # fmt: skip
        name = rng.choice(list(masks))
        how = rng.choice((2, 2, 3) if name == "mip" else (1, 2, 2, 2, 3))  # QEMU's mip holds hvip's bits too
        return [*words.li(31, rng.getrandbits(14) & masks[name]), how << 12 | 0x73 | 31 << 15 | csr(name) << 20]

    def _as_other_mode(self) -> list[int]:
        """Loads and stores with MPRV, as another mode's. MPV is left alone: QEMU cannot set it (see ACT_STAY)."""
        mpp = self.rng.choice((0, 1, 3)) << MPP_SHIFT
        return [
            *words.li(31, MPP),
            _CSRRC_MSTATUS,
            *words.li(31, mpp | MPRV),
            _CSRRS_MSTATUS,
            *self._accesses(3),
            *words.li(31, MPRV),
            _CSRRC_MSTATUS,
        ]

    def _as_trapped(self) -> list[int]:
        """Loads and stores with MPRV, as those of the mode that trapped; the code starts with them."""
        return [*words.li(31, MPRV), _CSRRS_MSTATUS, *self._accesses(6), *words.li(31, MPRV), _CSRRC_MSTATUS]

    def _accesses(self, count: int) -> list[int]:
        rng = self.rng
        kinds = [rng.choice((words.load, words.load, words.store)) for _ in range(count)]
        return [make(rng, rng.choice(words.POINTERS), self._offset()) for make in kinds]

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

    def _action(self) -> Action:
        rng = self.rng
        jumps = 0.1 if self.is_steady else 0.4
        flags = (ACT_JUMP if rng.random() < jumps else 0) | (ACT_SHORT if rng.random() < 0.15 else 0)
        if rng.random() < 0.35:
            flags |= ACT_MODE | ACT_JUMP
        address, value = self.entry()
        if rng.random() < 0.2:
            flags |= ACT_PTE
        if self.has_stay and rng.random() < 0.15:
            return Action(flags & ~ACT_MODE | ACT_STAY | ACT_JUMP, 0, ARENA, address, value)
        return Action(flags, self.mode(), self.pc(), address, value)
