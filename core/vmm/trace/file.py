"""The trace file: a header, then frames, each compressed and checked by itself, so that a file cut off anywhere can be
read up to there.

    magic (8 bytes)   version u16   length of the header u32   header: JSON   CRC-32 of all before it, u32
    frame: kind u8, hart u8, 0 u16, records u32, first step u64, last step u64, bytes u32, CRC-32 of those bytes u32,
           CRC-32 of this head u32; then the bytes, zstd-compressed
    ...
    a frame of kind END, without bytes

All numbers are little-endian. A frame of records holds its fields one after the other, each as an array of 64-bit
numbers: neighbours in a field are alike, which is what compresses. A frame of SYMBOLS holds JSON. The last step that
the frame of kind END names is where recording ended.
"""

from __future__ import annotations

import json
import struct
import sys
from array import array
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, Final, NamedTuple
from zlib import crc32

import zstandard

from ...errors import TraceError

MAGIC: Final = b"\x93HVTRC\r\n"
"""No text file begins so, and a transfer that rewrites line ends breaks it."""

VERSION: Final = 1
PREFIX: Final = struct.Struct("<8sHI")
CRC: Final = struct.Struct("<I")
HEAD: Final = struct.Struct("<BBHIQQII")
HEAD_SIZE: Final = HEAD.size + CRC.size
MAX_HEADER: Final = 1 << 20
MAX_FRAME: Final = 1 << 30
SYMBOLS, END = 0x40, 0x7F
LEVEL: Final = 3
"""Of compression: higher ones gain a few per cent and cost several times the time."""


class Frame(NamedTuple):
    """A frame as its head has it: `kind` is a stream of records, SYMBOLS or END; `offset` is where its bytes begin."""

    kind: int
    hart: int
    records: int
    first: int
    last: int
    size: int
    crc: int
    offset: int


class Writer:
    """Writes one file. header: what `Reader.header` gives back. Raises TraceError where the file cannot be written."""

    def __init__(self, path: Path, header: dict[str, Any]) -> None:
        self.path = path
        self.records: dict[int, int] = {}
        self.bytes: dict[int, int] = {}
        self._compressor = zstandard.ZstdCompressor(level=LEVEL)
        try:
            self._file: IO[bytes] = path.open("wb")
        except OSError as error:
            raise TraceError(f"{path}: {error.strerror}") from error
        text = json.dumps(header, separators=(",", ":")).encode()
        head = PREFIX.pack(MAGIC, VERSION, len(text)) + text
        self._put(head + CRC.pack(crc32(head)))

    def write_symbols(self, symbols: dict[str, Any]) -> None:
        """The guest's symbols."""
        self._frame(SYMBOLS, 0, 0, 0, 0, json.dumps(symbols, separators=(",", ":")).encode())

    def write_records(self, stream: int, hart: int, first: int, last: int, fields: Sequence[array[int]]) -> None:
        """Records of one stream of one hart, whose steps are `first` to `last`."""
        if sys.byteorder == "big":
            for field in fields:
                field.byteswap()
        data = b"".join([field.tobytes() for field in fields])
        self._frame(stream, hart, len(fields[0]), first, last, data)

    def close(self, last: int = 0) -> None:
        """Mark the end and close; once. last: the step at which recording ended, of the hart that was farthest."""
        self._frame(END, 0, 0, 0, last, b"")
        try:
            self._file.close()
        except OSError as error:
            raise TraceError(f"{self.path}: {error.strerror}") from error

    def _frame(self, kind: int, hart: int, records: int, first: int, last: int, data: bytes) -> None:
        packed = self._compressor.compress(data) if data else b""
        head = HEAD.pack(kind, hart, 0, records, first, last, len(packed), crc32(packed))
        self._put(head + CRC.pack(crc32(head)) + packed)
        self.records[kind] = self.records.get(kind, 0) + records
        self.bytes[kind] = self.bytes.get(kind, 0) + HEAD_SIZE + len(packed)

    def _put(self, data: bytes) -> None:
        try:
            self._file.write(data)
        except OSError as error:
            with suppress(OSError):
                self._file.close()
            raise TraceError(f"{self.path}: {error.strerror}") from error


class Reader:
    """Reads one file. header: as it was written. frames: those that are whole. cut: where the file is cut off, None if
    it ends as it should. last: the step at which recording ended; in a file cut off, the last it tells of.

    Raises TraceError for what is no trace, of another version, cut off in its header, or damaged.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.cut: int | None = None
        self.last = 0
        try:
            with path.open("rb") as file:
                self.header = self._read_header(file)
                self.frames = self._read_heads(file, path.stat().st_size)
        except OSError as error:
            raise TraceError(f"{path}: {error.strerror}") from error

    def data(self, frame: Frame) -> bytes:
        """A frame's bytes, decompressed. Raises TraceError where they are damaged."""
        try:
            with self.path.open("rb") as file:
                file.seek(frame.offset)
                packed = file.read(frame.size)
        except OSError as error:
            raise TraceError(f"{self.path}: {error.strerror}") from error
        if crc32(packed) != frame.crc:
            raise self._damaged(frame.offset, "a frame's checksum does not match its bytes")
        try:
            return zstandard.ZstdDecompressor().decompress(packed, max_output_size=MAX_FRAME)
        except zstandard.ZstdError as error:
            raise self._damaged(frame.offset, str(error)) from error

    def fields(self, frame: Frame, words: int) -> list[array[int]]:
        """The fields of a frame of records, `words` in number. Raises TraceError where it is damaged."""
        data = self.data(frame)
        size = frame.records * 8
        if len(data) != size * words:
            raise self._damaged(frame.offset, f"{frame.records} records are {size * words} bytes, not {len(data)}")
        fields = [array("Q", data[start : start + size]) for start in range(0, len(data), size)]
        if sys.byteorder == "big":
            for field in fields:
                field.byteswap()
        return fields

    def symbols(self) -> dict[str, Any]:
        """The guest's symbols; empty where there are none."""
        frame = next((frame for frame in self.frames if frame.kind == SYMBOLS), None)
        if frame is None:
            return {}
        found: dict[str, Any] = json.loads(self.data(frame))
        return found

    def _read_header(self, file: IO[bytes]) -> dict[str, Any]:
        prefix = file.read(PREFIX.size)
        if not prefix.startswith(MAGIC[: len(prefix)]) or not prefix:
            raise TraceError(f"{self.path}: not a trace; hartvisor run IMAGE --trace KINDS --trace-file FILE makes one")
        if len(prefix) < PREFIX.size:
            raise self._no_header()
        _, version, length = PREFIX.unpack(prefix)
        if version != VERSION:
            raise TraceError(f"{self.path}: a trace of format version {version}; this Hartvisor reads {VERSION}")
        if length > MAX_HEADER:
            raise self._damaged(0, f"a header of {length} bytes")
        text, check = file.read(length), file.read(CRC.size)
        if len(check) < CRC.size:
            raise self._no_header()
        if CRC.unpack(check)[0] != crc32(prefix + text):
            raise self._damaged(0, "the header's checksum does not match")
        header: dict[str, Any] = json.loads(text)
        return header

    def _read_heads(self, file: IO[bytes], file_size: int) -> list[Frame]:
        frames: list[Frame] = []
        while True:
            start = file.tell()
            head = file.read(HEAD_SIZE)
            if len(head) < HEAD_SIZE:
                self.cut = start
                return frames
            if CRC.unpack(head[HEAD.size :])[0] != crc32(head[: HEAD.size]):
                raise self._damaged(start, "a frame's head does not match its checksum")
            kind, hart, _, records, first, last, size, crc = HEAD.unpack(head[: HEAD.size])
            offset = start + HEAD_SIZE
            self.last = max(self.last, last)
            if kind == END:
                return frames
            if offset + size > file_size:
                self.cut = start
                return frames
            frames.append(Frame(kind, hart, records, first, last, size, crc, offset))
            file.seek(offset + size)

    def _no_header(self) -> TraceError:
        return TraceError(f"{self.path}: cut off within its header: nothing of the trace is left")

    def _damaged(self, offset: int, what: str) -> TraceError:
        return TraceError(f"{self.path}: damaged at byte {offset}: {what}; record the trace again")
