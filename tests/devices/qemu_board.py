"""QEMU's `virt` board as an oracle for register behaviour: it never runs, a debugger's accesses reach its devices.

QEMU's GDB stub has a mode in which addresses are physical (`Qqemu.PhyMemMode`); there, reading or writing 1, 2, 4 or
8 aligned bytes of a device is one access to it, side effects included.
"""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

DEADLINE = 20.0  # seconds for QEMU to open its socket
PACKET = 1024  # bytes of RAM in one packet


class QemuBoard:
    """A stopped QEMU. program: the path of qemu-system-riscv64; folder: where its socket may lie; options: further
    ones."""

    def __init__(self, program: str, folder: Path, options: Sequence[str] = ()) -> None:
        path = folder / "gdb"
        self._process = subprocess.Popen(
            [
                *(program, "-M", "virt", "-S", "-display", "none", "-bios", "none"),
                *("-monitor", "none", "-serial", "null"),
                *("-chardev", f"socket,path={path},server=on,wait=off,id=gdb", "-gdb", "chardev:gdb"),
                *options,
            ]
        )
        self._socket = socket.socket(socket.AF_UNIX)
        give_up = time.monotonic() + DEADLINE
        while True:
            try:
                self._socket.connect(str(path))
                break
            except OSError:
                if time.monotonic() > give_up or self._process.poll() is not None:
                    self.close()
                    raise
                time.sleep(0.02)
        assert self._ask("Qqemu.PhyMemMode:1") == "OK"

    def load(self, address: int, size: int) -> int:
        """Read a device register."""
        return int.from_bytes(bytes.fromhex(self._ask(f"m{address:x},{size:x}")), "little")

    def store(self, address: int, size: int, value: int) -> None:
        """Write a device register."""
        assert self._ask(f"M{address:x},{size:x}:{value.to_bytes(size, 'little').hex()}") == "OK"

    def read(self, address: int, length: int, /) -> bytes:
        """Bytes of RAM."""
        pieces = range(address, address + length, PACKET)
        return b"".join(
            bytes.fromhex(self._ask(f"m{at:x},{min(PACKET, address + length - at):x}")) for at in pieces
        )

    def write(self, address: int, data: bytes, /) -> None:
        """Store bytes to RAM."""
        for at in range(0, len(data), PACKET):
            piece = data[at : at + PACKET]
            assert self._ask(f"M{address + at:x},{len(piece):x}:{piece.hex()}") == "OK"

    def close(self) -> None:
        """End QEMU."""
        self._socket.close()
        self._process.kill()
        self._process.wait()

    def __enter__(self) -> QemuBoard:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _ask(self, command: str) -> str:
        """One packet of the GDB remote protocol and its answer."""
        self._socket.sendall(b"$%b#%02x" % (command.encode(), sum(command.encode()) % 256))
        received = b""
        while (end := received.find(b"#")) < 0 or len(received) < end + 3:
            received += self._socket.recv(4096)
        self._socket.sendall(b"+")
        return received[received.index(b"$") + 1 : end].decode()
