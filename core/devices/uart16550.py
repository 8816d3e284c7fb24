"""NS16550A UART: the serial port of QEMU's `virt` board, eight one-byte registers.

Source: National Semiconductor, PC16550D datasheet (June 1995), section 8 "Registers"; where it leaves room, what
QEMU's serial device does. There is no baud rate here: a transmitted byte is gone at once, and a received byte arrives
when the guest reads it. Two things follow from that:

- Typed bytes wait at the terminal's end of the line, and the receive FIFO is a window on the first 16 of them. So
  nothing typed is ever overrun, or lost when a driver resets its FIFOs at start; only what loopback put into the FIFO
  can be.
- The character timeout interrupt (datasheet 8.4.1: "no more characters for 4 character times") has no time to wait
  for: bytes that stay below the trigger level are announced by it immediately.

Where the terminal's bytes come from a pipe, the guest gets the next when it has nothing else to do: when it reads LSR
over and over (a driver that polls) or sleeps with received-data interrupts on (`wants_input`, which the machine asks).
Not sooner, because drivers read RBR at their start to be rid of what may be in it.
"""

from .console import ConsoleEnd
from .device import DeviceFault, IrqLine, State, bytes_of, int_of, unwired

# Offsets. The first two are the divisor latch while LCR.DLAB is set; FCR is written where IIR is read.
RBR = THR = DLL = 0
IER = DLM = 1
IIR = FCR = 2
LCR = 3
MCR = 4
LSR = 5
MSR = 6
SCR = 7

IER_RDA = 0x01  # received data available, and character timeout
IER_THRE = 0x02
IER_LINE = 0x04
IER_MODEM = 0x08

# IIR bits 3:0, highest priority first (datasheet table III); bits 7:6 read 1 while the FIFOs are on.
IIR_LINE = 0x06
IIR_RDA = 0x04
IIR_TIMEOUT = 0x0C
IIR_THRE = 0x02
IIR_MODEM = 0x00
IIR_NONE = 0x01
IIR_FIFOS_ON = 0xC0

FCR_ENABLE = 0x01
FCR_RESET_RX = 0x02
FCR_RESET_TX = 0x04
FCR_STORED = 0xC9  # enable, DMA mode, trigger level; the reset bits clear themselves

LCR_DLAB = 0x80

MCR_DTR = 0x01
MCR_RTS = 0x02
MCR_OUT1 = 0x04
MCR_OUT2 = 0x08
MCR_LOOP = 0x10
MCR_STORED = 0x1F

LSR_DR = 0x01  # data ready
LSR_OE = 0x02  # overrun: a byte arrived while there was no room
LSR_THRE = 0x20  # transmit holding register empty
LSR_TEMT = 0x40  # transmitter empty

POLLS = 16
"""Reads of LSR, with no other access in between, that show a driver to be waiting for input."""

MSR_DCTS = 0x01
MSR_DDSR = 0x02
MSR_TERI = 0x04
MSR_DDCD = 0x08
MSR_CTS = 0x10
MSR_DSR = 0x20
MSR_RI = 0x40
MSR_DCD = 0x80

FIFO_DEPTH = 16
TRIGGER_LEVELS = (1, 4, 8, 14)  # bytes, by FCR bits 7:6
REGISTERS = 8

#: The modem lines of a terminal that is always there.
TERMINAL_LINES = MSR_DCD | MSR_DSR | MSR_CTS
#: 115200 baud with the clock that the device tree states (3.6864 MHz / 16 / divisor); guests may read it, nothing
#: depends on it.
RESET_DIVISOR = 12

#: In loopback the four modem outputs feed the four modem inputs (datasheet 8.7).
LOOPED_LINES = ((MCR_DTR, MSR_DSR), (MCR_RTS, MSR_CTS), (MCR_OUT1, MSR_RI), (MCR_OUT2, MSR_DCD))


def modem_lines(mcr: int) -> int:
    """The modem inputs as MSR bits 7:4 show them: the terminal's or, in loopback, our own outputs."""
    if mcr & MCR_LOOP:
        return sum(into for out, into in LOOPED_LINES if mcr & out)
    return TERMINAL_LINES


class Uart16550:
    """A 16550A with its terminal.

    console: where bytes go and come from. irq: the interrupt output, active while any enabled cause is.
    Every register is one byte; a wider load is zero-extended and a wider store truncated, as on QEMU's board.
    """

    def __init__(self, console: ConsoleEnd, irq: IrqLine = unwired) -> None:
        self.irq = irq
        self._console = console
        self._ier = 0
        self._fcr = 0
        self._lcr = 0
        self._mcr = MCR_OUT2
        self._deltas = 0  # MSR bits 3:0; bits 7:4 follow from MCR
        self._scr = 0
        self._divisor = RESET_DIVISOR
        self._overrun = False
        self._thre_pending = False  # the THRE interrupt is an event: reading IIR takes it back
        self._looped = bytearray()  # bytes received through loopback, not read yet
        self._level = False
        self._polls = 0  # reads of LSR since the last other access
        console.subscribe(self._update)

    @property
    def wants_input(self) -> bool:
        """Whether the guest, should it sleep, does so waiting for a byte that has not come."""
        return bool(self._ier & IER_RDA) and not self._console.typed

    # --- the bus side

    def load(self, offset: int, size: int) -> int:
        """Read one register."""
        if offset >= REGISTERS:
            raise DeviceFault
        self._polls = min(self._polls + 1, POLLS) if offset == LSR else 0
        if offset <= DLM and self._lcr & LCR_DLAB:
            return self._divisor >> 8 * offset & 0xFF
        if offset == RBR:
            return self._receive()
        if offset == IER:
            return self._ier
        if offset == IIR:
            return self._identify_interrupt()
        if offset == LCR:
            return self._lcr
        if offset == MCR:
            return self._mcr
        if offset == LSR:
            return self._line_status()
        if offset == MSR:
            return self._modem_status()
        return self._scr

    def store(self, offset: int, size: int, value: int) -> None:
        """Write one register. LSR and MSR are read-only: such stores do nothing."""
        if offset >= REGISTERS:
            raise DeviceFault
        self._polls = 0
        value &= 0xFF
        if offset <= DLM and self._lcr & LCR_DLAB:
            shift = 8 * offset
            self._divisor = self._divisor & ~(0xFF << shift) | value << shift
        elif offset == THR:
            self._transmit(value)
        elif offset == IER:
            self._enable_interrupts(value & 0x0F)
        elif offset == FCR:
            self._control_fifos(value)
        elif offset == LCR:
            self._lcr = value
        elif offset == MCR:
            self._control_modem(value & MCR_STORED)
        elif offset == SCR:
            self._scr = value

    # --- registers with side effects

    def _receive(self) -> int:
        """RBR: the oldest received byte; 0 where there is none."""
        if self._looped:
            value = self._looped.pop(0)
            self._update()
            return value
        if self._mcr & MCR_LOOP:
            return 0  # the serial input is disconnected (datasheet 8.7)
        data = self._console.take(1)
        return data[0] if data else 0

    def _transmit(self, value: int) -> None:
        """THR: the byte is sent, or looped back, before the store is over; so THRE "becomes" set at every store."""
        if self._mcr & MCR_LOOP:
            self._loop_back(value)
        else:
            self._console.write(bytes((value,)))
        self._thre_pending = True
        self._update()

    def _loop_back(self, value: int) -> None:
        if self._fcr & FCR_ENABLE:
            # FIFO mode: the byte that does not fit is lost, the FIFO is kept (datasheet 8.3, bit 1).
            if len(self._looped) < FIFO_DEPTH:
                self._looped.append(value)
            else:
                self._overrun = True
        else:
            # Character mode: the new byte replaces the unread one.
            self._overrun |= bool(self._looped)
            self._looped[:] = (value,)

    def _enable_interrupts(self, ier: int) -> None:
        if (self._ier ^ ier) & IER_THRE:
            # Enabling the THRE interrupt announces an empty transmitter, even one that IIR has already reported: the
            # datasheet is silent, drivers rely on it to start sending, and QEMU does the same.
            self._thre_pending = bool(ier & IER_THRE)
        self._ier = ier
        self._update()

    def _identify_interrupt(self) -> int:
        """IIR: the most urgent cause. Reading it takes the THRE interrupt back, if that is what it says."""
        cause = self._cause()
        if cause == IIR_THRE:
            self._thre_pending = False
            self._update()
        return cause | (IIR_FIFOS_ON if self._fcr & FCR_ENABLE else 0)

    def _control_fifos(self, value: int) -> None:
        if (self._fcr ^ value) & FCR_ENABLE:
            value |= FCR_RESET_RX | FCR_RESET_TX  # "resets when FIFOs are switched on or off" (datasheet 8.5, bit 0)
        if value & FCR_RESET_RX:
            self._looped.clear()
        if value & FCR_RESET_TX:
            self._thre_pending = True
        self._fcr = value & FCR_STORED
        self._update()

    def _line_status(self) -> int:
        """LSR. The transmitter is always empty; reading clears the overrun flag."""
        value = LSR_THRE | LSR_TEMT
        if self._received() or (self._polls == POLLS and not self._mcr & MCR_LOOP and self._console.waiting):
            value |= LSR_DR
        if self._overrun:
            value |= LSR_OE
            self._overrun = False
            self._update()
        return value

    def _modem_status(self) -> int:
        """MSR. Reading clears the four deltas."""
        value = modem_lines(self._mcr) | self._deltas
        if self._deltas:
            self._deltas = 0
            self._update()
        return value

    def _control_modem(self, mcr: int) -> None:
        """MCR: in loopback, and when it begins or ends, the modem inputs change with it; MSR notes which did."""
        before, after = modem_lines(self._mcr), modem_lines(mcr)
        fallen = before & ~after
        self._deltas |= (before ^ after) >> 4 & (MSR_DCTS | MSR_DDSR | MSR_DDCD) | fallen >> 4 & MSR_TERI
        self._mcr = mcr
        self._update()

    # --- the interrupt

    def _received(self) -> int:
        """How many received bytes the guest can read now."""
        level = len(self._looped)
        if not self._mcr & MCR_LOOP:
            level += self._console.typed
        return min(level, FIFO_DEPTH if self._fcr & FCR_ENABLE else 1)

    def _cause(self) -> int:
        """IIR bits 3:0."""
        if self._ier & IER_LINE and self._overrun:
            return IIR_LINE
        if self._ier & IER_RDA:
            received = self._received()
            if received:
                is_below_trigger = self._fcr & FCR_ENABLE and received < TRIGGER_LEVELS[self._fcr >> 6]
                return IIR_TIMEOUT if is_below_trigger else IIR_RDA
        if self._ier & IER_THRE and self._thre_pending:
            return IIR_THRE
        if self._ier & IER_MODEM and self._deltas:
            return IIR_MODEM
        return IIR_NONE

    def _update(self) -> None:
        level = self._cause() != IIR_NONE
        if level != self._level:
            self._level = level
            self.irq(level)

    # --- looking without side effects

    def look(self) -> dict[str, int]:
        """Each register, by name, as a load would find it; and how many received bytes could be read."""
        fifos = IIR_FIFOS_ON if self._fcr & FCR_ENABLE else 0
        received = self._received()
        line = LSR_THRE | LSR_TEMT | (LSR_DR if received else 0) | (LSR_OE if self._overrun else 0)
        return {
            "IER": self._ier, "IIR": self._cause() | fifos, "FCR": self._fcr, "LCR": self._lcr, "MCR": self._mcr,
            "LSR": line, "MSR": modem_lines(self._mcr) | self._deltas, "SCR": self._scr,
            "DLL": self._divisor & 0xFF, "DLM": self._divisor >> 8, "received": received,
        }  # fmt: skip

    # --- snapshots

    def save(self) -> State:
        """All registers. Typed bytes are the console's to save."""
        return {
            "ier": self._ier,
            "fcr": self._fcr,
            "lcr": self._lcr,
            "mcr": self._mcr,
            "deltas": self._deltas,
            "scr": self._scr,
            "divisor": self._divisor,
            "overrun": int(self._overrun),
            "thre_pending": int(self._thre_pending),
            "looped": bytes(self._looped),
            "polls": self._polls,
        }

    def restore(self, state: State) -> None:
        """Become the saved UART and drive the interrupt line."""
        self._ier = int_of(state, "ier")
        self._fcr = int_of(state, "fcr")
        self._lcr = int_of(state, "lcr")
        self._mcr = int_of(state, "mcr")
        self._deltas = int_of(state, "deltas")
        self._scr = int_of(state, "scr")
        self._divisor = int_of(state, "divisor")
        self._overrun = bool(int_of(state, "overrun"))
        self._thre_pending = bool(int_of(state, "thre_pending"))
        self._looped = bytearray(bytes_of(state, "looped"))
        self._polls = int_of(state, "polls")
        self._level = self._cause() != IIR_NONE
        self.irq(self._level)
