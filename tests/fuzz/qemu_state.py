"""The state that random programs start in: registers, CSRs, page tables of every depth, data."""

from __future__ import annotations

import random

from .qemu_layout import (
    ALIAS,
    ARENA,
    ARENA_RANGE,
    ARENA_SIZE,
    CODE,
    DATA,
    FRAMES,
    G_L0,
    G_L1,
    G_L3,
    G_ROOT,
    G_TOP,
    MODES,
    N_CODE,
    N_DATA,
    S_HANDLER,
    S_L0,
    S_L1,
    S_L3,
    S_L4,
    S_ROOT,
    TIMERS,
    VS_HANDLER,
    VS_L0,
    VS_L1,
    VS_L3,
    VS_L4,
    VS_ROOT,
)

U64 = (1 << 64) - 1
V, R, W, X, U, G, A, D = (1 << bit for bit in range(8))
PBMT_NC, PBMT_IO, NAPOT = 1 << 61, 2 << 61, 1 << 63
ADUE, PBMTE, STCE = 1 << 61, 1 << 62, 1 << 63
_GATES = ADUE | PBMTE | STCE
BARE, SV39, SV48, SV57 = 0, 8, 9, 10
CODE_FRAMES, DATA_FRAMES = range(CODE, CODE + N_CODE), range(DATA, DATA + N_DATA)
HANDLERS = (S_HANDLER, VS_HANDLER)
FETCH_CAUSES = 1 << 0 | 1 << 1 | 1 << 12 | 1 << 20
# Interrupts that a program can make pending by itself: with no device and no timer, by writing mip, hvip, sip or vsip.
SUPERVISOR_IRQS, GUEST_IRQS = 1 << 1 | 1 << 5 | 1 << 9, 1 << 2 | 1 << 6 | 1 << 10
_STATEEN = 1 << 63 | 1 << 62  # SE0 and ENVCFG of mstateen0; QEMU has no CONTEXT
# The tables of each stage, from the one that Sv39's root is to the last level; then the roots of Sv48 and Sv57.
_STAGES = {
    "satp": (S_ROOT, S_L1, S_L0, S_L3, S_L4),
    "vsatp": (VS_ROOT, VS_L1, VS_L0, VS_L3, VS_L4),
    "hgatp": (G_ROOT, G_L1, G_L0, G_TOP, G_TOP),
}
_G_ROOTS = (*range(G_ROOT, G_ROOT + 4), *range(G_TOP, G_TOP + 4))
TABLES = frozenset((*_G_ROOTS, G_L3, *(frame for stage in _STAGES.values() for frame in stage)))

# Zero, the least and the greatest subnormal, the least normal, one and its neighbours, three, 2**31 and 2**63, the
# greatest, infinity, NaNs.
_DOUBLES = (
    0, 1, (1 << 52) - 1, 1 << 52, 0x3FF << 52, 0x3FF0000000000001, 0x3FEFFFFFFFFFFFFF, 0x4008000000000000,
    0x41DFFFFFFFC00000, 0x43E0000000000000, 0x7FEFFFFFFFFFFFFF, 0x7FF << 52, 0x7FF8000000000000, 0x7FF0000000000001,
)  # fmt: skip
_SINGLES = (
    0, 1, (1 << 23) - 1, 1 << 23, 0x7F << 23, 0x3F800001, 0x3F7FFFFF, 0x40400000, 0x4EFFFFFF, 0x5F000000, 0x7F7FFFFF,
    0xFF << 23, 0x7FC00000, 0x7F800001,
)  # fmt: skip
_BOX = 0xFFFFFFFF << 32


def frame_address(frame: int) -> int:
    """Where a frame of the arena lies."""
    return ARENA + (frame << 12)


class State:
    """Random values of one program, all from `rng`.

    delegates: whether traps may go to HS-mode and VS-mode too. is_steady: whether it is to run on for long, with few
    traps.
    """

    def __init__(self, seed: int, delegates: bool) -> None:
        self.rng = random.Random(seed)
        self.seed = seed
        # Some programs are about translation and traps, others hardly leave one mode, others compute in loops.
        self.kind = self.rng.choice(("wild", "wild", "calm", "calm", "steady"))
        self.is_steady = self.kind == "steady"
        self.direct = not delegates  # all traps to M-mode, each in the log
        self.has_interrupts = self.rng.random() < (0.3 if self.direct else 0.4)
        self.paging = {name: self.rng.choice((SV39, SV39, SV39, SV48, SV57)) for name in _STAGES}
        self.has_stay = self.direct and self.rng.random() < 0.3
        self.menvcfg = self._envcfg()
        self.updates = self.menvcfg & ADUE

    def _envcfg(self) -> int:
        """The gates of what a level below may use."""
        rng = self.rng
        gates = sum(bit for bit in (ADUE, PBMTE) if rng.random() < 0.3)
        if not self.has_interrupts and rng.random() < 0.5:
            gates |= STCE  # QEMU takes STIP and VSTIP away from hvip too
        return gates | rng.choice((0, 0xD0, 0xF0, 0x50)) | rng.getrandbits(1)

    # --- values

    def float_state(self) -> list[int]:
        """fcsr, and f0 to f31: corner values and any bits, of both widths."""
        rng = self.rng
        fcsr = rng.getrandbits(8) if rng.random() < 0.1 else rng.getrandbits(5) | rng.randrange(5) << 5
        return [fcsr, *(self._float() for _ in range(32))]

    def _float(self) -> int:
        rng = self.rng
        chance = rng.random()
        if chance < 0.35:
            return rng.choice(_DOUBLES) | rng.getrandbits(1) << 63
        if chance < 0.7:
            return _BOX | rng.choice(_SINGLES) | rng.getrandbits(1) << 31
        if chance < 0.8:
            return _BOX | rng.getrandbits(32)
        return rng.getrandbits(64)

    def value(self) -> int:
        """A register's value."""
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
                self.address(),
            )
        )

    def address(self) -> int:
        """Mostly in the data pages, by either address; seldom nowhere."""
        rng = self.rng
        offset = rng.choice((rng.randrange(0, 4096, 8), rng.randrange(4096), 0xFF8, 0xFFC, 0xFFE, 0xFFF, 0))
        if self.is_steady:
            return ARENA + (rng.choice(DATA_FRAMES) << 12) + rng.randrange(0, 4096, 8)
        chance = rng.random()
        base = ARENA if chance < 0.6 else ALIAS
        if chance > 0.98:
            return rng.choice((0x1400_0000, 1 << 38, U64 << 38 & U64, ARENA + ARENA_SIZE, 1 << 41, 1 << 50)) + offset
        frame = rng.choice(DATA_FRAMES) if rng.random() < 0.95 else rng.choice((10, 11, 16, 17, 26, 27, 28))
        return base + (frame << 12) + offset

    def pc(self) -> int:
        """Somewhere in the code."""
        base = ARENA if self.is_steady or self.rng.random() < 0.75 else ALIAS
        at = self.rng.randrange(0, 4096, 2)
        return base + (self.rng.choice(CODE_FRAMES) << 12) + (at if self.is_steady else self.rng.choice((0, 0xFFE, at)))

    def mode(self) -> int:
        """A mode to run in, as mstatus has it."""
        return MODES[self.rng.choice(("M", "S", "U", "VS", "VU", "S", "VS", "U", "VU"))]

    # --- CSRs

    def csrs(self) -> dict[str, int]:
        """What the harness writes before the program starts."""
        rng = self.rng
        config = 0x1F  # entry 3: the arena, open to all; what lies before it in order may close parts of it
        ranges = [(frame_address(rng.randrange(FRAMES)) >> 2) | rng.choice((0x1FF, 0x3FF)) for _ in range(3)]
        # Where PMP denies the read of a G-stage table, QEMU's exception is another, which would go elsewhere.
        low = rng.getrandbits(24) & 0x070707 | 0x181818 if self.direct and rng.random() < 0.1 else 0
        low &= ~sum(2 << 8 * i for i in range(3) if low >> 8 * i & 3 == 2)  # W without R is reserved
        enabled = rng.choice((0, U64, rng.getrandbits(64)))  # what mstateen0 and hstateen0 leave to the levels below
        values = {
            "pmpcfg0": config << 24 | low,
            "pmpaddr3": (ARENA >> 2) | (ARENA_RANGE >> 3) - 1,
            "pmpaddr0": ranges[0],
            "pmpaddr1": ranges[1],
            "pmpaddr2": ranges[2],
            "stvec": frame_address(S_HANDLER),
            "vstvec": frame_address(VS_HANDLER),
            "mcounteren": rng.getrandbits(32),
            "scounteren": rng.getrandbits(32),
            "hcounteren": rng.getrandbits(32),
            "menvcfg": self.menvcfg,
            "senvcfg": self._envcfg() & 0xFF,
            "henvcfg": self._envcfg() & 0xFF | (self.menvcfg if rng.random() < 0.9 else self._envcfg()) & _GATES,
            # What it closes is an illegal instruction in VS-mode, but not in QEMU.
            "mstateen0": (enabled if self.direct and rng.random() < 0.3 else U64) & _STATEEN,
            "hstateen0": (U64 if rng.random() < 0.7 else rng.getrandbits(64)) & _STATEEN,
            # MPRV and, below, the trap bits are for the programs themselves to set
            "mstatus": 0xA << 32
            | rng.getrandbits(20) & 0xC01AA
            | self._fs()
            # TSR makes QEMU trap the SRET of VS-mode's handler too
            | rng.choice((0, 0, 1 << 20, 1 << 21, 1 << 22 if self.direct else 0)),
            "vsstatus": 2 << 32 | rng.getrandbits(20) & 0xC0122 | self._fs(),
            "hstatus": 2 << 32 | rng.getrandbits(10) & 0x3C0 | rng.choice((0, 0, 0, 1 << 20, 1 << 21, 1 << 22)),
            "htimedelta": rng.getrandbits(64),
            "sscratch": rng.getrandbits(64),
            "vsscratch": rng.getrandbits(64),
        }
        values |= self._delegation() | dict.fromkeys(TIMERS, U64)
        values |= {name: self.atp(name) for name in _STAGES}
        values |= {name: self.pc() for name in ("sepc", "vsepc", "mepc")}
        return values

    def _delegation(self) -> dict[str, int]:
        """Delegation, and interrupts; without `delegates` only those of VS-mode, which never are M-mode's."""
        rng = self.rng
        # What cannot be fetched mostly goes to M-mode, or a handler that cannot be fetched would never end.
        kept = FETCH_CAUSES if rng.random() < 0.85 else 0
        medeleg = 0 if self.direct else rng.choice((U64, rng.getrandbits(24))) & 0xF0FFFF
        values = {
            # Breakpoints too: QEMU's tval is that of the alias at which it translated the code.
            "medeleg": medeleg & ~(1 << 3 | 1 << 9 | 1 << 10 | kept),
            "mideleg": 0 if self.direct else rng.getrandbits(14) & SUPERVISOR_IRQS,
            "hedeleg": rng.choice((0, U64, rng.getrandbits(24))) & 0xFFFF,
            "hideleg": rng.getrandbits(14) & GUEST_IRQS,
        }
        if self.has_interrupts:
            values["mie"] = rng.choice((U64, rng.getrandbits(14))) & (SUPERVISOR_IRQS | GUEST_IRQS)
            values["mip"] = rng.getrandbits(14) & SUPERVISOR_IRQS if rng.random() < 0.3 else 0
            values["hvip"] = rng.getrandbits(14) & GUEST_IRQS if rng.random() < 0.3 else 0
        return values

    def atp(self, name: str) -> int:
        """satp, vsatp or hgatp: Bare, or this program's mode of it."""
        rng = self.rng
        mode = rng.choice((BARE, self.paging[name], self.paging[name]))
        root = {SV48: 3, SV57: 4}.get(mode, 0)
        return mode << 60 | rng.getrandbits(4) << 44 | frame_address(_STAGES[name][root]) >> 12

    def _fs(self) -> int:
        """FS: mostly Dirty, since QEMU is slow to make it so; seldom Off."""
        return (self.rng.choice((0, 1, 1, 2, 2)) if self.rng.random() < 0.3 else 3) << 13

    # --- tables

    def _leaf(self, frame: int, is_guest_stage: bool) -> int:
        """An entry for a frame of the arena: mostly itself, mostly usable."""
        rng = self.rng
        chance = rng.random()
        if frame in TABLES:  # never writable: QEMU would need a fence after every store
            usable = V | R | A | (U if is_guest_stage or chance < 0.2 else 0)
            if is_guest_stage and self.updates:
                usable |= W | D
            return frame_address(frame) >> 2 | usable if chance < 0.97 else 0
        target = frame
        if frame in CODE_FRAMES:
            target = frame if self.is_steady or chance < 0.85 else rng.choice(CODE_FRAMES)
        elif frame in DATA_FRAMES:
            target = frame if chance < 0.8 else rng.choice(DATA_FRAMES)
        flags = V | R | W | X | A | D
        if rng.random() < (0.01 if self.is_steady else 0.06) and frame not in HANDLERS:
            flags = (
                rng.getrandbits(8)
                if rng.random() < 0.5
                else V | rng.choice((R | A, R | X | A, X | A, R | W | A | D, R | W | A, R | W | D, W | A))
            )
        elif is_guest_stage:
            flags |= U if rng.random() < 0.97 else 0
        elif frame not in HANDLERS:
            flags |= U if rng.random() < 0.5 else 0
        if self.updates and rng.random() < 0.3:
            flags &= ~rng.choice((A, D, A | D))
        pte = frame_address(target) >> 2 | flags | rng.getrandbits(2) << 8
        if self.menvcfg & PBMTE and rng.random() < 0.2:
            pte |= rng.choice((PBMT_NC, PBMT_IO))
        if rng.random() < 0.01:
            # QEMU sets A and D before it finds N wrong, so there it is not set
            pte |= 1 << rng.randrange(54, 63 if self.updates else 64)
        if rng.random() < 0.005:
            pte = 0x1400_0000 >> 2 | flags  # no memory there
        return pte

    def entry(self) -> tuple[int, int]:
        """The address and a new value of an entry of one of the last-level tables."""
        table = self.rng.choice((S_L0, VS_L0, G_L0))
        frame = self.rng.choice((*CODE_FRAMES, *DATA_FRAMES))
        return frame_address(table) + 8 * (0x100 + frame), self._leaf(frame, table == G_L0)

    def fill_tables(self, frames: dict[int, bytearray]) -> None:
        """Write the page tables of all three stages into the arena's frames."""
        for name, (root, middle, last, fourth, fifth) in _STAGES.items():

            def put(frame: int, index: int, value: int) -> None:
                frames[frame + (index >> 9)][8 * (index & 511) : 8 * (index & 511) + 8] = value.to_bytes(8, "little")

            extra = self.rng.choice((0, 0, 0, 0, G, A, D, U)) if self.rng.random() < 0.05 else 0
            put(root, 0, frame_address(middle) >> 2 | V)
            put(root, 2, frame_address(middle) >> 2 | V | extra)
            put(middle, 0, frame_address(last) >> 2 | V)
            put(middle, (ALIAS >> 21) & 511, frame_address(last) >> 2 | V)
            for frame in range(FRAMES):
                put(last, 0x100 + frame, self._leaf(frame, name == "hgatp"))
            if name == "hgatp" and self.paging[name] == SV57:
                put(fifth, 0, frame_address(G_L3) >> 2 | V)
                put(G_L3, 0, frame_address(root) >> 2 | V)
            else:
                put(fourth, 0, frame_address(root) >> 2 | V)
                if fifth != fourth:
                    put(fifth, 0, frame_address(fourth) >> 2 | V)
