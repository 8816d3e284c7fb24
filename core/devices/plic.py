"""Platform-level interrupt controller: gathers the devices' interrupt lines and shows each context its most urgent one.

Source: RISC-V Platform-Level Interrupt Controller Specification 1.0.0, with the sizes of QEMU's `virt` board: sources
1 to 96, priorities 0 to 7. A context is one interrupt input of one hart; on `virt`, 2h is hart h's M-mode (MEIP) and
2h+1 its S-mode (SEIP).

    0x000000  priority of source s, at 4 * s           0 = never interrupts
    0x001000  pending bits, 32 sources a word          read-only
    0x002000  enable bits, 0x80 bytes a context
    0x200000  threshold at +0, claim/complete at +4    0x1000 bytes a context

Words that stand for no source or context read 0 and ignore stores. Only aligned 4-byte accesses are decoded.
"""

from collections.abc import Sequence

from .device import DeviceFault, IrqLine, State, bytes_of, int_of

N_SOURCES = 96  # the device tree's riscv,ndev; source 0 means "none"
MAX_PRIORITY = 7

PRIORITY_BASE = 0x0
PENDING_BASE = 0x1000
ENABLE_BASE = 0x2000
ENABLE_STRIDE = 0x80
CONTEXT_BASE = 0x20_0000
CONTEXT_STRIDE = 0x1000
THRESHOLD = 0x0
CLAIM = 0x4

#: Bits of the sources that exist.
SOURCE_MASK = (1 << N_SOURCES + 1) - 2
WORD = 0xFFFF_FFFF


class Plic:
    """A PLIC for level-triggered sources.

    contexts: the output line of each context, None for one that leads nowhere; its registers exist all the same.

    Sets of sources are integers, bit s for source s.
    """

    def __init__(self, contexts: Sequence[IrqLine | None]) -> None:
        self.contexts = list(contexts)
        self._priority = [0] * (N_SOURCES + 1)
        self._enabled = [0] * len(self.contexts)
        self._threshold = [0] * len(self.contexts)
        self._levels = 0
        self._pending = 0
        self._claimed = 0
        self._outputs = [False] * len(self.contexts)

    def set_source(self, source: int, level: bool) -> None:
        """Drive the line of `source` (1 to 96).

        The gateway forwards one request at a time: a level that stays high makes the next request at completion, and
        a level that falls before it is claimed leaves its request pending (specification, "Interrupt Gateways").
        """
        bit = 1 << source
        if level:
            self._levels |= bit
            if not self._claimed & bit and not self._pending & bit:
                self._pending |= bit
                self._update()
        else:
            self._levels &= ~bit

    # --- the bus side

    def load(self, offset: int, size: int) -> int:
        """Read one word; a claim register takes the interrupt it returns."""
        if size != 4:
            raise DeviceFault
        if offset < PENDING_BASE:
            source = offset >> 2
            return self._priority[source] if source <= N_SOURCES else 0
        if offset < ENABLE_BASE:
            return self._pending >> 8 * (offset - PENDING_BASE) & WORD
        if offset < CONTEXT_BASE:
            context, byte = divmod(offset - ENABLE_BASE, ENABLE_STRIDE)
            return self._enabled[context] >> 8 * byte & WORD if context < len(self.contexts) else 0
        context, register = divmod(offset - CONTEXT_BASE, CONTEXT_STRIDE)
        if context < len(self.contexts):
            if register == THRESHOLD:
                return self._threshold[context]
            if register == CLAIM:
                return self._claim(context)
        return 0

    def store(self, offset: int, size: int, value: int) -> None:
        """Write one word; a store to a claim register completes the interrupt it names."""
        if size != 4:
            raise DeviceFault
        if offset < PENDING_BASE:
            source = offset >> 2
            if 1 <= source <= N_SOURCES:
                self._priority[source] = value & MAX_PRIORITY
        elif ENABLE_BASE <= offset < CONTEXT_BASE:
            context, byte = divmod(offset - ENABLE_BASE, ENABLE_STRIDE)
            if context < len(self.contexts):
                shift = 8 * byte
                self._enabled[context] = (self._enabled[context] & ~(WORD << shift) | value << shift) & SOURCE_MASK
        elif offset >= CONTEXT_BASE:
            context, register = divmod(offset - CONTEXT_BASE, CONTEXT_STRIDE)
            if context >= len(self.contexts):
                return
            if register == THRESHOLD:
                self._threshold[context] = value & MAX_PRIORITY
            elif register == CLAIM:
                self._complete(context, value)
        self._update()

    # --- choosing and handing out

    def _best(self, context: int) -> int:
        """The pending, enabled source of the highest priority, the lowest number among equals; 0 if there is none."""
        candidates = self._pending & self._enabled[context]
        best, best_priority = 0, 0
        while candidates:
            source = (candidates & -candidates).bit_length() - 1
            candidates &= candidates - 1
            if self._priority[source] > best_priority:
                best, best_priority = source, self._priority[source]
        return best

    def _claim(self, context: int) -> int:
        """Take the best source; the threshold does not matter here (specification, "Interrupt Claim Process")."""
        source = self._best(context)
        if source:
            self._pending &= ~(1 << source)
            self._claimed |= 1 << source
            self._update()
        return source

    def _complete(self, context: int, source: int) -> None:
        """Reopen the gateway of a source. One that this context has not enabled is ignored ("Interrupt Completion")."""
        bit = 1 << source if source <= N_SOURCES else 0
        if bit & self._enabled[context] & self._claimed:
            self._claimed &= ~bit
            self._pending |= self._levels & bit

    def _update(self) -> None:
        for context, line in enumerate(self.contexts):
            level = self._priority[self._best(context)] > self._threshold[context]
            if level != self._outputs[context]:
                self._outputs[context] = level
                if line is not None:
                    line(level)

    # --- snapshots

    def save(self) -> State:
        """Priorities and thresholds are bytes, one each; enables are four little-endian words a context."""
        return {
            "priority": bytes(self._priority),
            "threshold": bytes(self._threshold),
            "enabled": b"".join(enabled.to_bytes(16, "little") for enabled in self._enabled),
            "levels": self._levels,
            "pending": self._pending,
            "claimed": self._claimed,
        }

    def restore(self, state: State) -> None:
        """Become the saved PLIC and drive every output."""
        self._priority = list(bytes_of(state, "priority"))
        self._threshold = list(bytes_of(state, "threshold"))
        enabled = bytes_of(state, "enabled")
        self._enabled = [int.from_bytes(enabled[at : at + 16], "little") for at in range(0, len(enabled), 16)]
        self._levels = int_of(state, "levels")
        self._pending = int_of(state, "pending")
        self._claimed = int_of(state, "claimed")
        for context, line in enumerate(self.contexts):
            self._outputs[context] = self._priority[self._best(context)] > self._threshold[context]
            if line is not None:
                line(self._outputs[context])
