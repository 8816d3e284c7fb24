"""Linux's kernel files for RISC-V: the raw `Image`, and the EFI zboot file and the gzip file that hold one.

Source: Linux, Documentation/arch/riscv/boot-image-header.rst; drivers/firmware/efi/libstub/zboot-header.S. An Image
begins with 64 bytes:

    8   text_offset  where it is placed, from the start of RAM       48  magic "RISCV"
    16  image_size   bytes that it needs, .bss included              56  magic2 "RSC\\x05"

and a zboot file:

    4   "zimg"       8  payload_offset    12  payload_size           24  compression, a NUL-terminated name
"""

import io
import lzma
import zlib
from collections.abc import Callable, Mapping

import zstandard

from ..errors import ImageError

HEADER_SIZE = 64
MAGIC2 = b"RSC\x05"
GZIP_MAGIC = b"\x1f\x8b"
ZBOOT_MAGIC = b"zimg"


def unpack_gzip(data: bytes) -> bytes:
    """The contents of the gzip stream that data begins with; a zboot file has more behind it."""
    stream = zlib.decompressobj(wbits=31)
    contents = stream.decompress(data)
    if not stream.eof:
        raise EOFError("it ends too early")
    return contents


def unpack_lzma(data: bytes) -> bytes:
    """The contents of the lzma or xz stream that data begins with."""
    stream = lzma.LZMADecompressor()
    contents = stream.decompress(data)
    if not stream.eof:
        raise EOFError("it ends too early")
    return contents


def unpack_zstd(data: bytes) -> bytes:
    """The contents of a zstd frame, whether or not it names its size."""
    return zstandard.ZstdDecompressor().stream_reader(io.BytesIO(data)).read()


UNPACKERS: Mapping[bytes, Callable[[bytes], bytes]] = {
    b"gzip": unpack_gzip, b"lzma": unpack_lzma, b"xzkern": unpack_lzma, b"zstd": unpack_zstd, b"zstd22": unpack_zstd,
}
"""A zboot file's compression to what undoes it."""


def is_linux_image(data: bytes) -> bool:
    """Whether data begins as an Image does."""
    return len(data) >= HEADER_SIZE and data[56:60] == MAGIC2


def placement(data: bytes) -> tuple[int, int]:
    """Where in RAM an Image goes, in bytes from its start, and how many bytes it needs there."""
    offset, size = (int.from_bytes(data[at : at + 8], "little") for at in (8, 16))
    return offset, max(size, len(data))


def unpack_kernel(data: bytes, name: str) -> bytes:
    """The kernel inside a gzip or an EFI zboot file; any other data as it is. Raises ImageError for a damaged one."""
    try:
        if data.startswith(GZIP_MAGIC):
            return unpack_gzip(data)
        if data[4:8] != ZBOOT_MAGIC:
            return data
        offset, size = (int.from_bytes(data[at : at + 4], "little") for at in (8, 12))
        compression = data[24:56].split(b"\0")[0]
        unpack = UNPACKERS.get(compression)
        if unpack is None:
            known = ", ".join(key.decode() for key in UNPACKERS)
            raise ImageError(f"{name}: packed by {compression.decode(errors='replace')!r}; {known} can be unpacked")
        if len(data) < offset + size:
            raise ImageError(f"{name}: truncated: its payload ends beyond the file's end; copy it again")
        return unpack(data[offset : offset + size])
    except (EOFError, zlib.error, lzma.LZMAError, zstandard.ZstdError) as error:
        raise ImageError(f"{name}: a packed kernel that is damaged ({error}); copy it again") from error
