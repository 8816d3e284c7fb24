"""Advanced platform-level interrupt controller: each interrupt domain sees the wires that its parent delegates to it.

Source: RISC-V Advanced Interrupt Architecture 1.0, "Advanced Platform-Level Interrupt Controller (APLIC)", with the
sizes of QEMU's `virt` board: sources 1 to 96, priority numbers of 3 bits. A domain either drives a wire of each hart or
sends messages (MSIs) to the harts' interrupt files; which of the two is built in, and shows in domaincfg.DM.

    0x0000  domaincfg                  0x1C00  setip     0x1CDC  setipnum      0x2000  setipnum_le
    0x0004  sourcecfg of source s,     0x1D00  in_clrip  0x1DDC  clripnum      0x3000  genmsi
            at 4 * s                   0x1E00  setie     0x1EDC  setienum      0x3004  target of s, at 0x3000 + 4 * s
    0x1BC0  mmsiaddrcfg, smsiaddrcfg   0x1F00  clrie     0x1FDC  clrienum      0x4000  IDC of hart h, 0x20 bytes each

Everything is little-endian: domaincfg.BE and setipnum_be are read-only zero. Where the specification leaves a choice, a
write to sourcecfg makes its source pending if its rectified input is high, as QEMU does it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from enum import IntEnum

from .aplic_registers import (
    CHILD_0,
    CLAIMI,
    CLRIE,
    DELEGATED,
    DM,
    DOMAINCFG,
    DOMAINCFG_FIXED,
    EIID,
    GENMSI,
    GUEST_MASK,
    GUEST_SHIFT,
    HART_SHIFT,
    IDC_BASE,
    IDC_SIZE,
    IDELIVERY,
    IE,
    IFORCE,
    IN_CLRIP,
    ITHRESHOLD,
    MSIADDRCFG,
    N_SOURCES,
    NUMBER,
    PRIORITY_MASK,
    SETIE,
    SETIP,
    SETIPNUM_LE,
    SOURCECFG,
    TARGET,
    TOPI,
    WORD,
    MsiAddresses,
)
from .device import DeviceFault, IrqLine, State, bytes_of, int_of

SOURCE_MASK = (1 << N_SOURCES + 1) - 2
"""Bits of the sources that exist."""

SendMsi = Callable[[int, int], None]
"""Stores a word (address, value), as the domain's master port does; what is no interrupt file ignores it."""


class Mode(IntEnum):
    """Source modes (SM): how a wire makes its source pending."""

    INACTIVE = 0
    DETACHED = 1
    EDGE1 = 4
    EDGE0 = 5
    LEVEL1 = 6
    LEVEL0 = 7


class Aplic:
    """The controller: its input wires, and the domains of M-mode (`machine`) and S-mode (`supervisor`).

    lines: of each hart, M-mode's and S-mode's external interrupt; None for an APLIC that sends messages by `send`.
    n_harts: the harts whose indices are valid. guests: the most guest interrupt files that a hart has.
    """

    def __init__(
        self, n_harts: int, lines: Sequence[tuple[IrqLine, IrqLine]] | None, send: SendMsi | None = None,
        guests: int = 0,
    ) -> None:
        addresses = MsiAddresses()
        wires = ([line for line, _ in lines], [line for _, line in lines]) if lines is not None else (None, None)
        self.machine = Domain(n_harts, addresses, wires[0], send)
        self.supervisor = Domain(n_harts, addresses, wires[1], send, guests, parent=self.machine)
        self.machine.child = self.supervisor

    def set_source(self, source: int, level: bool) -> None:
        """Drive the wire of `source` (1 to 96)."""
        for domain in (self.machine, self.supervisor):
            domain.set_wire(source, level)


class Domain:
    """An interrupt domain as its control region shows it; see `Aplic`. Sets of sources are integers, bit s for s.

    parent: the domain that delegates to it; None for the root, whose region has the MSI addresses.
    """

    def __init__(
        self, n_harts: int, addresses: MsiAddresses, lines: Sequence[IrqLine] | None, send: SendMsi | None,
        guests: int = 0, parent: Domain | None = None,
    ) -> None:
        self.n_harts, self.guests, self.parent = n_harts, guests, parent
        self.child: Domain | None = None
        self.addresses = addresses
        self._lines, self._send = lines, send
        self._wires = 0
        self._is_on = False
        self._config = [0] * (N_SOURCES + 1)
        self._target = [0] * (N_SOURCES + 1)
        self._pending = 0
        self._enabled = 0
        self._genmsi = 0
        self._delivery = [0] * n_harts
        self._force = [0] * n_harts
        self._threshold = [0] * n_harts
        self._outputs = [False] * n_harts

    @property
    def sends_msis(self) -> bool:
        """Whether it forwards interrupts by messages (domaincfg.DM)."""
        return self._lines is None

    # --- sources

    def _has(self, source: int) -> bool:
        """Whether the source is implemented, as far as this domain can see."""
        if not 1 <= source <= N_SOURCES:
            return False
        return self.parent is None or self.parent.delegates(source)

    def delegates(self, source: int) -> bool:
        """Whether the source is the child's."""
        return bool(self._config[source] & DELEGATED)

    def _mode(self, source: int) -> Mode:
        return Mode.INACTIVE if self.delegates(source) else Mode(self._config[source])

    def _is_level(self, source: int) -> bool:
        return self._mode(source) >= Mode.LEVEL1

    def _input(self, source: int) -> bool:
        """The rectified input value."""
        mode = self._mode(source)
        if mode < Mode.EDGE1:
            return False
        return bool(self._wires >> source & 1) != (mode in (Mode.EDGE0, Mode.LEVEL0))

    def _inputs(self) -> int:
        return sum(1 << source for source in range(1, N_SOURCES + 1) if self._input(source))

    def set_wire(self, source: int, level: bool) -> None:
        """The wire of `source` (1 to 96) has this level now ("Precise effects on interrupt-pending bits")."""
        before = self._input(source)
        self._wires = self._wires & ~(1 << source) | level << source
        after = self._input(source)
        if after == before:
            return
        if after:
            self._pending |= 1 << source
        elif self._is_level(source):
            self._pending &= ~(1 << source)
        self._update()

    def _configure(self, source: int, value: int) -> None:
        """Write sourcecfg."""
        if not self._has(source):
            return
        was_active = self._mode(source) is not Mode.INACTIVE
        if value & DELEGATED:
            self._config[source] = CHILD_0 if self.child is not None else 0
        else:
            self._config[source] = value & 7 if value & 7 in tuple(Mode) else Mode.INACTIVE
        bit = 1 << source
        if self._mode(source) is Mode.INACTIVE:
            self._pending &= ~bit
            self._enabled &= ~bit
            self._target[source] = 0
        else:
            if not was_active:
                self._target[source] = 0 if self.sends_msis else 1
            if self._input(source):
                self._pending |= bit
            elif self._is_level(source):
                self._pending &= ~bit
        if self.child is not None and not self.delegates(source):
            self.child.lose(source)

    def lose(self, source: int) -> None:
        """The parent delegates the source no longer: all that is known of it here becomes zero."""
        self._config[source] = self._target[source] = 0
        self._pending &= ~(1 << source)
        self._enabled &= ~(1 << source)
        self._update()

    def _active(self, sources: int) -> int:
        """Those of a set that are active here."""
        return sum(1 << source for source in members(sources) if self._mode(source) is not Mode.INACTIVE)

    def _set_pending(self, sources: int) -> None:
        """By software: not where a level decides, but for a message once more while its level is high."""
        self._pending |= sum(1 << source for source in members(self._active(sources))
                             if not self._is_level(source) or (self.sends_msis and self._input(source)))

    def _clear_pending(self, sources: int) -> None:
        """By software, or because the interrupt was claimed or sent."""
        self._pending &= ~sum(1 << source for source in members(sources)
                              if self.sends_msis or not self._is_level(source))

    def _aim(self, source: int, value: int) -> None:
        """Write target; a hart or guest that does not exist leaves its field as it was (WLRL)."""
        if self._mode(source) is Mode.INACTIVE:
            return
        old, hart = self._target[source], value >> HART_SHIFT
        kept = hart << HART_SHIFT if hart < self.n_harts else old >> HART_SHIFT << HART_SHIFT
        if self.sends_msis:
            guest = value >> GUEST_SHIFT & GUEST_MASK
            guest = guest if guest <= self.guests else old >> GUEST_SHIFT & GUEST_MASK
            kept |= guest << GUEST_SHIFT | value & EIID
        else:
            kept |= value & PRIORITY_MASK or 1
        self._target[source] = kept

    # --- delivery

    def _top(self, hart: int) -> int:
        """The hart's topi: the most urgent source, or zero."""
        best, best_key = 0, (PRIORITY_MASK + 1, 0)
        for source in members(self._pending & self._enabled):
            target = self._target[source]
            key = (target & PRIORITY_MASK, source)
            if target >> HART_SHIFT == hart and key < best_key:
                best, best_key = source, key
        threshold = self._threshold[hart]
        return 0 if not best or (threshold and best_key[0] >= threshold) else best << 16 | best_key[0]

    def _claim(self, hart: int) -> int:
        top = self._top(hart)
        if top:
            self._clear_pending(1 << (top >> 16))
        else:
            self._force[hart] = 0
        self._update()
        return top

    def _send_to(self, target: int) -> None:
        """Send the message that target or genmsi describes."""
        if self._send is not None:
            guest = target >> GUEST_SHIFT & GUEST_MASK
            address = self.addresses.of(target >> HART_SHIFT, None if self.parent is None else guest)
            self._send(address, target & EIID)

    def _update(self) -> None:
        """Signal or forward what is pending and enabled."""
        if self._lines is None:
            for source in members(self._pending & self._enabled if self._is_on else 0):
                self._clear_pending(1 << source)
                self._send_to(self._target[source])
            return
        for hart, line in enumerate(self._lines):
            level = bool(self._is_on and self._delivery[hart] and (self._force[hart] or self._top(hart)))
            if level != self._outputs[hart]:
                self._outputs[hart] = level
                line(level)

    # --- the bus side

    def load(self, offset: int, size: int) -> int:
        """Read one word; claimi takes the interrupt it returns."""
        if size != 4:
            raise DeviceFault
        if offset == DOMAINCFG:
            return DOMAINCFG_FIXED | self._is_on * IE | self.sends_msis * DM
        if SOURCECFG <= offset < TARGET:
            return self._load_sources(offset)
        if offset == GENMSI:
            return self._genmsi
        if TARGET < offset < IDC_BASE:
            source = offset - TARGET >> 2
            return self._target[source] if source <= N_SOURCES else 0
        return self._load_idc(*divmod(offset - IDC_BASE, IDC_SIZE)) if offset >= IDC_BASE else 0

    def _load_sources(self, offset: int) -> int:
        if offset < MSIADDRCFG:
            source = offset - SOURCECFG >> 2
            return self._config[source + 1] if source < N_SOURCES else 0
        if offset < SETIP:
            return self.addresses.load(offset - MSIADDRCFG) if self.parent is None and self.sends_msis else 0
        array, at = offset & ~0xFF, 8 * (offset & 0xFF)
        if array == SETIP:
            return self._pending >> at & WORD
        if array == SETIE:
            return self._enabled >> at & WORD
        return self._inputs() >> at & WORD if array == IN_CLRIP else 0

    def _load_idc(self, hart: int, register: int) -> int:
        if self.sends_msis or hart >= self.n_harts:
            return 0
        if register == CLAIMI:
            return self._claim(hart)
        if register == TOPI:
            return self._top(hart)
        if register == IDELIVERY:
            return self._delivery[hart]
        if register == IFORCE:
            return self._force[hart]
        return self._threshold[hart] if register == ITHRESHOLD else 0

    def store(self, offset: int, size: int, value: int) -> None:
        """Write one word."""
        if size != 4:
            raise DeviceFault
        if offset == DOMAINCFG:
            self._is_on = bool(value & IE)
        elif offset < MSIADDRCFG:
            self._configure(offset - DOMAINCFG >> 2, value)
        elif offset < SETIP:
            if self.parent is None and self.sends_msis:
                self.addresses.store(offset - MSIADDRCFG, value)
        elif offset < TARGET:
            self._store_bits(offset, value)
        elif offset == GENMSI:
            if self.sends_msis:
                hart = value >> HART_SHIFT
                self._genmsi = (hart if hart < self.n_harts else 0) << HART_SHIFT | value & EIID
                self._send_to(self._genmsi)
        elif offset < IDC_BASE:
            source = offset - TARGET >> 2
            if source <= N_SOURCES:
                self._aim(source, value)
        elif not self.sends_msis:
            self._store_idc(*divmod(offset - IDC_BASE, IDC_SIZE), value)
        self._update()

    def _store_bits(self, offset: int, value: int) -> None:
        """The arrays of pending and enable bits, by word or by number."""
        array, at = offset & ~0xFF, offset & 0xFF
        sources = value << 8 * at & SOURCE_MASK
        if at == NUMBER:
            sources = 1 << value if 1 <= value <= N_SOURCES else 0
        if offset == SETIPNUM_LE:
            array, sources = SETIP, 1 << value if 1 <= value <= N_SOURCES else 0
        if array == SETIP:
            self._set_pending(sources)
        elif array == IN_CLRIP:
            self._clear_pending(sources)
        elif array == SETIE:
            self._enabled |= self._active(sources)
        elif array == CLRIE:
            self._enabled &= ~sources

    def _store_idc(self, hart: int, register: int, value: int) -> None:
        if hart >= self.n_harts:
            return
        if register == IDELIVERY:
            self._delivery[hart] = value & 1
        elif register == IFORCE:
            self._force[hart] = value & 1
        elif register == ITHRESHOLD:
            self._threshold[hart] = value & PRIORITY_MASK

    # --- snapshots

    def save(self) -> State:
        """sourcecfg, target and the IDCs are four little-endian bytes each; sets of sources are integers."""
        return {
            "domaincfg": int(self._is_on), "wires": self._wires, "pending": self._pending, "enabled": self._enabled,
            "genmsi": self._genmsi, "sourcecfg": _packed(self._config), "target": _packed(self._target),
            "idelivery": _packed(self._delivery), "iforce": _packed(self._force),
            "ithreshold": _packed(self._threshold), "addresses": _packed(self.addresses.words),
        }

    def restore(self, state: State) -> None:
        """Become the saved domain and drive every output."""
        self._is_on = bool(int_of(state, "domaincfg"))
        self._wires, self._genmsi = int_of(state, "wires"), int_of(state, "genmsi")
        self._pending, self._enabled = int_of(state, "pending"), int_of(state, "enabled")
        self._config, self._target = _unpacked(state, "sourcecfg"), _unpacked(state, "target")
        self._delivery, self._force = _unpacked(state, "idelivery"), _unpacked(state, "iforce")
        self._threshold = _unpacked(state, "ithreshold")
        self.addresses.words = _unpacked(state, "addresses")
        self._outputs = [False] * self.n_harts
        for line in self._lines or ():
            line(False)
        self._update()


def members(sources: int) -> Iterator[int]:
    """The sources of a set, ascending."""
    while sources:
        yield (sources & -sources).bit_length() - 1
        sources &= sources - 1


def _packed(words: Sequence[int]) -> bytes:
    return b"".join(word.to_bytes(4, "little") for word in words)


def _unpacked(state: State, name: str) -> list[int]:
    data = bytes_of(state, name)
    return [int.from_bytes(data[at : at + 4], "little") for at in range(0, len(data), 4)]
