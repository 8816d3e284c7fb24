"""A debugger of our own, in the process of the one who is debugged: it sends packets, and lets the other work."""

from __future__ import annotations

import socket

from hartvisor.core.vmm.gdb.packets import Decoder, Kind, encode
from hartvisor.core.vmm.gdb.server import Debugger
from hartvisor.core.vmm.gdb.target import Halt, Target, VmTarget
from hartvisor.core.vmm.timeline import Timeline
from hartvisor.core.vmm.vm import Vm

PATIENCE = 2.0
SLICE = 100_000

OPEN: list[socket.socket | Debugger] = []
"""What the present test has to close."""


def target_of(vm: Vm, *, has_past: bool = True) -> VmTarget:
    """The VM as a debugger sees it."""
    return VmTarget(vm, Timeline(vm, interval=0.002) if has_past else None)


class Client:
    """A connection to a Debugger, which works whenever the client waits. halts: why the guest stopped, each time."""

    def __init__(self, debugger: Debugger) -> None:
        self.debugger = debugger
        self.halts: list[Halt] = []
        self.socket = socket.create_connection(("127.0.0.1", debugger.port), timeout=PATIENCE)
        self._decoder = Decoder()
        OPEN.append(self.socket)
        self.debugger.wait(PATIENCE)

    def send(self, data: bytes) -> None:
        """Bytes as they are."""
        self.socket.sendall(data)
        self.debugger.wait(PATIENCE)

    def receive(self) -> bytes:
        """What has been sent to us; b"" if nothing."""
        self.socket.setblocking(False)
        try:
            return self.socket.recv(1 << 20)
        except BlockingIOError:
            return b""
        finally:
            self.socket.settimeout(PATIENCE)

    def ask(self, packet: str | bytes) -> bytes:
        """The reply to a packet, the guest running on until there is one."""
        self.send(encode(packet.encode() if isinstance(packet, str) else packet))
        return self.reply()

    def reply(self) -> bytes:
        """The next packet from the debugged."""
        for _ in range(2000):
            for kind, data in self._decoder.feed(self.receive()):
                if kind is Kind.PACKET:
                    return data
            if self.debugger.is_running:
                halt = self.debugger.run(SLICE)
                self.halts += [halt] if halt is not None else []
            self.debugger.wait(0)
        raise AssertionError("no reply")

    def close(self) -> None:
        """Hang up without a word."""
        self.socket.close()
        self.debugger.wait(PATIENCE)


def debugger_of(target: Target, lines: list[str] | None = None, *, is_waiting: bool = True) -> Debugger:
    """A debugger's server on some port of this computer; what it tells its user goes to `lines`."""
    debugger = Debugger(target, "127.0.0.1", 0, is_waiting=is_waiting,
                        tell=lines.append if lines is not None else lambda line: None)
    OPEN.append(debugger)
    return debugger
