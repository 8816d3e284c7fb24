"""fw_cfg: how QEMU hands facts and files to firmware; here with the same keys, by the same registers.

Source: QEMU, docs/specs/fw_cfg.rst; where it leaves room, what QEMU does.

    0x00  data      loads: the next bytes of the selected item, in order, zeros behind its end; stores do nothing
    0x08  selector  a store of 2 bytes, big-endian: select an item, from its start
    0x10  DMA       loads: "QEMU CFG"; a store of 8 bytes, big-endian, or of its high and then its low half: the address
                    of a request, of which control (also: error), length and address are big-endian
"""

import struct
from collections.abc import Mapping

from .device import DeviceFault, State, int_of
from .virtio.ram import GuestRam

DATA = 0x00
SELECTOR = 0x08
DMA = 0x10
DMA_SIZE = 8

KEY_SIGNATURE = 0x00
KEY_ID = 0x01
KEY_N_CPUS = 0x05
KEY_DIRECTORY = 0x19
KEY_FIRST_FILE = 0x20
NOTHING = 0xFFFF
WRITE_CHANNEL = 0x4000  # once asked for writing; the key means the same item

SIGNATURE = b"QEMU"
ID_TRADITIONAL, ID_DMA = 1, 2
DMA_SIGNATURE = b"QEMU CFG"

REQUEST = struct.Struct(">IIQ")
CONTROL = struct.Struct(">I")
CTL_ERROR, CTL_READ, CTL_SKIP, CTL_SELECT, CTL_WRITE = 1, 2, 4, 8, 16

DIRECTORY_ENTRY = ">IHxx56s"
MAX_NAME = 55
LOW_HALF = 0xFFFF_FFFF


class FwCfg:
    """The device.

    ram: where requests and what they ask for lie. n_harts: told as the number of CPUs. files: contents by name, which
    has at most MAX_NAME characters of ASCII; the guest can only read them. Raises ValueError for another name.
    """

    def __init__(self, ram: GuestRam, n_harts: int, files: Mapping[str, bytes]) -> None:
        self._ram = ram
        self._items = {
            KEY_SIGNATURE: SIGNATURE,
            KEY_ID: (ID_TRADITIONAL | ID_DMA).to_bytes(4, "little"),
            KEY_N_CPUS: n_harts.to_bytes(2, "little"),
        }
        directory = struct.pack(">I", len(files))
        for key, name in enumerate(sorted(files), KEY_FIRST_FILE):
            if not (name.isascii() and 0 < len(name) <= MAX_NAME):
                raise ValueError(f"fw_cfg file {name!r}: a name has 1 to {MAX_NAME} characters of ASCII")
            self._items[key] = files[name]
            directory += struct.pack(DIRECTORY_ENTRY, len(files[name]), key, name.encode())
        self._items[KEY_DIRECTORY] = directory
        self._key = KEY_SIGNATURE
        self._offset = 0
        self._high = 0

    def load(self, offset: int, size: int) -> int:
        """Read the data register, or the sign of the DMA interface. Raises DeviceFault for the selector."""
        if offset == DATA:
            return int.from_bytes(self._take(size), "little")
        if DMA <= offset < DMA + DMA_SIZE:
            return int.from_bytes(DMA_SIGNATURE[offset - DMA : offset - DMA + size], "little")
        raise DeviceFault

    def store(self, offset: int, size: int, value: int) -> None:
        """Select an item, or start a request."""
        value = int.from_bytes(value.to_bytes(size, "little"), "big")
        if offset == DATA:
            return
        if (offset, size) == (SELECTOR, 2):
            self._select(value)
        elif (offset, size) == (DMA, 4):
            self._high = value
        elif (offset, size) == (DMA + 4, 4):
            self._transfer(self._high << 32 | value)
        elif (offset, size) == (DMA, 8):
            self._transfer(value)
        else:
            raise DeviceFault

    def save(self) -> State:
        """What is selected, how far it was read, and the half of an address; the items never change."""
        return {"key": self._key, "offset": self._offset, "high": self._high}

    def restore(self, state: State) -> None:
        """Become the saved device."""
        self._key, self._offset, self._high = (int_of(state, name) for name in ("key", "offset", "high"))

    def _select(self, key: int) -> None:
        key &= ~WRITE_CHANNEL
        self._key = key if key in self._items else NOTHING
        self._offset = 0

    def _take(self, length: int) -> bytes:
        """The next bytes of the item, no more than it has; the place in it goes on."""
        data = self._items.get(self._key, b"")[self._offset : self._offset + length]
        self._offset += len(data)
        return data

    def _transfer(self, gpa: int) -> None:
        """Serve a request, and say in its first word how it went. One that lies outside RAM is lost."""
        self._high = 0
        if not self._ram.contains(gpa, REQUEST.size):
            return
        control, length, address = REQUEST.unpack(self._ram.read(gpa, REQUEST.size))
        if control & CTL_SELECT:
            self._select(control >> 16)
        is_wrong = False
        if length and control & (CTL_READ | CTL_WRITE | CTL_SKIP):
            data = self._take(length)
            if control & CTL_READ:
                is_wrong = not self._ram.contains(address, length)
                if not is_wrong:
                    self._ram.write(address, data.ljust(length, b"\0"))
            elif control & CTL_WRITE:
                is_wrong = True  # no item of ours may be written
        self._ram.write(gpa, CONTROL.pack(CTL_ERROR if is_wrong else 0))
