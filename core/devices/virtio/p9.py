"""A shared folder: the 9P transport device (device id 9), speaking 9P2000.L, which Linux mounts as

    mount -t 9p -o trans=virtio,version=9p2000.L TAG /mnt

A request is a chain of the message and room for its answer, and is answered before the notification is over. What the
guest does wrong is an error in the answer, by Linux's number; only a chain too short for any answer needs a reset.

The folder is an input from outside: contents, sizes, permissions and modification times of its files are the host's,
and other programs may change them. All else is made the same everywhere: names are listed in order, everything belongs
to root, a file's number counts first mentions, access and change times are the modification's, free space is constant.
"""

import errno
import json
import os
import stat
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from ..device import State, bytes_of, int_of
from .device import VirtioDevice
from .p9_folder import OPEN_FLAGS, Folder, Names
from .p9_wire import HEADER, QT_DIR, QT_SYMLINK, Reader, text, u16, u32, u64
from .queue import Chain, Malformed

F_MOUNT_TAG = 1 << 0

RLERROR: Final = 7
VERSION: Final = 100
MAX_MESSAGE: Final = 512 << 10
MIN_MESSAGE: Final = 4096
#: What an answer has beside its data: header, and the count of Rread and Rreaddir.
OVERHEAD: Final = HEADER.size + 4
MAX_FIDS: Final = 1 << 16
MAX_OPEN: Final = 512

MAX_NAMES: Final = 16  # in one walk (Plan 9's MAXWELEM)
BASIC_ATTRIBUTES: Final = 0x7FF
BLOCK: Final = 4096
V9FS_MAGIC: Final = 0x0102_1997
BLOCKS: Final = 1 << 28  # 1 TiB, all of it free
AT_REMOVEDIR: Final = 0x200
UNLOCKED: Final = 2

SET_MODE, SET_SIZE = 1 << 0, 1 << 3
SET_ATIME, SET_MTIME, SET_ATIME_TO, SET_MTIME_TO = 1 << 4, 1 << 5, 1 << 7, 1 << 8
NS: Final = 1_000_000_000


@dataclass
class Fid:
    """What a number of the guest's stands for. fd: the host's descriptor, once it is open, with the flags it was opened
    with. listing: the names of an open directory, as they were when reading it began."""

    names: Names
    fd: int | None = None
    flags: int = 0
    listing: list[str] | None = None


class VirtioP9(VirtioDevice):
    """A shared folder. tag: what the guest mounts."""

    device_id = 9
    queue_sizes = (128,)
    features = F_MOUNT_TAG

    def __init__(self, folder: Folder, tag: str = "share") -> None:
        super().__init__()
        self._folder = folder
        self._tag = tag.encode()
        self._fids: dict[int, Fid] = {}
        self._numbers: dict[tuple[int, int], int] = {}  # by the host's device and inode
        self._next_number = 1
        self._message_size = MIN_MESSAGE
        self._room = 0  # bytes of data that the present answer may have
        self._operations: dict[int, Callable[[Reader], bytes]] = {
            8: self._statfs, 12: self._open, 14: self._create, 16: self._symlink, 18: self._mknod, 20: self._rename,
            22: self._readlink, 24: self._getattr, 26: self._setattr, 40: self._readdir, 50: self._fsync,
            52: self._lock, 54: self._getlock, 70: self._link, 72: self._mkdir, 74: self._renameat, 76: self._unlinkat,
            VERSION: self._version, 104: self._attach, 108: self._flush, 110: self._walk, 116: self._read,
            118: self._write, 120: self._clunk, 122: self._remove,
        }  # fmt: skip

    @property
    def config(self) -> bytes:
        """The mount tag, behind its length."""
        return u16(len(self._tag)) + self._tag

    # --- requests

    def notify(self, index: int) -> None:
        """Answer every request that waits."""
        assert self.link is not None
        queue = self.link.queues[index]
        while (chain := queue.pop()) is not None:
            self._answer(chain)
            queue.push(chain)

    def _answer(self, chain: Chain) -> None:
        header = chain.read(HEADER.size)
        if len(header) < HEADER.size or chain.writable < OVERHEAD:
            raise Malformed("a 9P request without a header, or without room for an answer")
        size, kind, tag = HEADER.unpack(header)
        try:
            if not HEADER.size <= size <= min(self._message_size, HEADER.size + chain.readable):
                raise OSError(errno.EMSGSIZE, "a message longer than agreed, or than its buffers")
            operation = self._operations.get(kind)
            if operation is None:
                raise OSError(errno.EOPNOTSUPP, "no such operation")
            self._room = min(chain.writable, self._message_size) - OVERHEAD
            answer = operation(Reader(chain.read(size - HEADER.size)))
            if HEADER.size + len(answer) > chain.writable:
                raise OSError(errno.EMSGSIZE, "an answer longer than its buffers")
            kind += 1
        except OSError as error:
            kind, answer = RLERROR, u32(error.errno or errno.EIO)
        except ValueError:  # a name or an offset that the host's calls do not take
            kind, answer = RLERROR, u32(errno.EINVAL)
        chain.write(HEADER.pack(HEADER.size + len(answer), kind, tag) + answer)

    def _fid(self, number: int) -> Fid:
        fid = self._fids.get(number)
        if fid is None:
            raise OSError(errno.EBADF, "no such fid")
        return fid

    def _descriptor(self, number: int) -> int:
        fd = self._fid(number).fd
        if fd is None:
            raise OSError(errno.EBADF, "not open")
        return fd

    def _add(self, number: int, names: Names) -> None:
        if number in self._fids or len(self._fids) >= MAX_FIDS:
            raise OSError(errno.EBADF if number in self._fids else errno.ENFILE, "a fid too many")
        self._fids[number] = Fid(names)

    def _keep(self, fid: Fid, fd: int, flags: int) -> None:
        fid.fd, fid.flags = fd, flags & os.O_ACCMODE

    def _check_open(self, fid: Fid) -> None:
        if fid.fd is not None:
            raise OSError(errno.EBADF, "open already")
        if sum(other.fd is not None for other in self._fids.values()) >= MAX_OPEN:
            raise OSError(errno.EMFILE, "too many open files")

    def _drop(self, number: int) -> Fid:
        fid = self._fid(number)
        del self._fids[number]
        if fid.fd is not None:
            os.close(fid.fd)
        return fid

    def _qid(self, status: os.stat_result) -> bytes:
        kind = QT_DIR if stat.S_ISDIR(status.st_mode) else QT_SYMLINK if stat.S_ISLNK(status.st_mode) else 0
        version = (status.st_mtime_ns ^ status.st_size << 8) & 0xFFFF_FFFF
        return bytes((kind,)) + u32(version) + u64(self._number(status))

    def _number(self, status: os.stat_result) -> int:
        """The file's number, as an inode's."""
        key = status.st_dev, status.st_ino
        if key not in self._numbers:
            self._numbers[key] = self._next_number
            self._next_number += 1
        return self._numbers[key]

    # --- the session

    def _version(self, request: Reader) -> bytes:
        size = request.u32()
        version = request.text()
        if size < MIN_MESSAGE:
            raise OSError(errno.EMSGSIZE, "messages too short to be of use")
        self.reset()
        self._message_size = min(size, MAX_MESSAGE)
        return u32(self._message_size) + text("9P2000.L" if version == "9P2000.L" else "unknown")

    def _attach(self, request: Reader) -> bytes:
        number = request.u32()
        qid = self._qid(self._folder.stat(()))
        self._add(number, ())
        return qid

    def _flush(self, request: Reader) -> bytes:
        return b""  # whatever it was, it has been answered

    def _clunk(self, request: Reader) -> bytes:
        self._drop(request.u32())
        return b""

    # --- finding

    def _walk(self, request: Reader) -> bytes:
        """As far as it goes; only a walk of the whole way makes the new fid (Plan 9, walk(5))."""
        fid = self._fid(request.u32())
        number = request.u32()
        count = request.u16()
        if count > MAX_NAMES:
            raise OSError(errno.EINVAL, "too many names")
        names, qids = fid.names, []
        try:
            for _ in range(count):
                peeked = request.text()
                if peeked == "..":
                    names = names[:-1]
                elif peeked in ("", ".") or "/" in peeked or "\0" in peeked:
                    raise OSError(errno.ENOENT, "not a file's name")
                else:
                    names = (*names, peeked)
                qids.append(self._qid(self._folder.stat(names)))
        except OSError:
            if not qids:
                raise
            return u16(len(qids)) + b"".join(qids)
        if self._fids.get(number) is fid:
            if fid.fd is not None:
                raise OSError(errno.EBADF, "open already")
            fid.names = names
        else:
            self._add(number, names)
        return u16(len(qids)) + b"".join(qids)

    def _getattr(self, request: Reader) -> bytes:
        fid = self._fid(request.u32())
        status = os.fstat(fid.fd) if fid.fd is not None else self._folder.stat(fid.names)
        seconds, nanoseconds = divmod(status.st_mtime_ns, NS)
        time = u64(seconds) + u64(nanoseconds)
        blocks = -(-status.st_size // 512)
        parts = [u64(BASIC_ATTRIBUTES), self._qid(status), u32(status.st_mode), u32(0), u32(0), u64(status.st_nlink),
                 u64(0), u64(status.st_size), u64(BLOCK), u64(blocks), time, time, time, bytes(32)]
        return b"".join(parts)

    def _statfs(self, request: Reader) -> bytes:
        self._fid(request.u32())
        return u32(V9FS_MAGIC) + u32(BLOCK) + u64(BLOCKS) * 5 + u64(0) + u32(255)

    def _readlink(self, request: Reader) -> bytes:
        return text(self._folder.read_link(self._fid(request.u32()).names))

    def _readdir(self, request: Reader) -> bytes:
        fid = self._fid(request.u32())
        offset, count = request.u64(), request.u32()
        if fid.fd is None:
            raise OSError(errno.EBADF, "not open")
        if fid.listing is None or not offset:
            fid.listing = [".", "..", *self._folder.list(fid.names)]
        entries = b""
        for index in range(offset, len(fid.listing)):
            name = fid.listing[index]
            names = {".": fid.names, "..": fid.names[:-1]}.get(name, (*fid.names, name))
            try:
                status = self._folder.stat(names)
            except OSError:
                continue  # gone meanwhile
            kind = stat.S_IFMT(status.st_mode) >> 12
            entry = self._qid(status) + u64(index + 1) + bytes((kind,)) + text(name)
            if len(entries) + len(entry) > min(count, self._room):
                break
            entries += entry
        return u32(len(entries)) + entries

    # --- contents

    def _open(self, request: Reader) -> bytes:
        fid, flags = self._fid(request.u32()), request.u32() & OPEN_FLAGS
        self._check_open(fid)
        self._keep(fid, self._folder.open(fid.names, flags), flags)
        assert fid.fd is not None
        return self._qid(os.fstat(fid.fd)) + u32(0)

    def _create(self, request: Reader) -> bytes:
        fid, name = self._fid(request.u32()), request.name()
        flags, mode = request.u32(), request.u32()
        self._check_open(fid)
        names = (*fid.names, name)
        self._keep(fid, self._folder.create(names, flags & (OPEN_FLAGS | os.O_EXCL), mode), flags)
        fid.names = names
        assert fid.fd is not None
        return self._qid(os.fstat(fid.fd)) + u32(0)

    def _read(self, request: Reader) -> bytes:
        fd, offset, count = self._descriptor(request.u32()), request.u64(), request.u32()
        data = os.pread(fd, min(count, self._room), _offset(offset))
        return u32(len(data)) + data

    def _write(self, request: Reader) -> bytes:
        fd, offset, count = self._descriptor(request.u32()), request.u64(), request.u32()
        return u32(os.pwrite(fd, request.take(count), _offset(offset)))

    def _fsync(self, request: Reader) -> bytes:
        os.fsync(self._descriptor(request.u32()))
        return b""

    def _lock(self, request: Reader) -> bytes:
        self._fid(request.u32())
        return b"\0"  # granted: the guest's kernel keeps its programs apart, and it is the only client

    def _getlock(self, request: Reader) -> bytes:
        self._fid(request.u32())
        request.u8()
        return bytes((UNLOCKED,)) + request.take(20) + text(request.text())

    # --- changes

    def _setattr(self, request: Reader) -> bytes:
        """Owners do not change: here everything is root's, and on the host ours."""
        fid = self._fid(request.u32())
        valid, mode, _, _ = (request.u32() for _ in range(4))
        size = request.u64()
        atime, mtime = (request.u64() * NS + request.u64() for _ in range(2))
        if valid & SET_MODE:
            self._folder.set_mode(fid.names, mode)
        if valid & SET_SIZE and fid.fd is not None and fid.flags:
            os.ftruncate(fid.fd, _offset(size))  # it may have no name any more
        elif valid & SET_SIZE:
            self._folder.set_size(fid.names, size)
        if valid & (SET_ATIME_TO | SET_MTIME_TO):
            now = self._folder.stat(fid.names)
            times = (atime if valid & SET_ATIME_TO else now.st_atime_ns,
                     mtime if valid & SET_MTIME_TO else now.st_mtime_ns)
            if max(times) >= 1 << 63:
                raise OSError(errno.EINVAL, "no such time")
            self._folder.set_times(fid.names, times)
        elif valid & (SET_ATIME | SET_MTIME):
            self._folder.set_times(fid.names, None)
        return b""

    def _mkdir(self, request: Reader) -> bytes:
        names = (*self._fid(request.u32()).names, request.name())
        self._folder.make_directory(names, request.u32())
        return self._qid(self._folder.stat(names))

    def _symlink(self, request: Reader) -> bytes:
        names = (*self._fid(request.u32()).names, request.name())
        self._folder.make_link(names, request.text())
        return self._qid(self._folder.stat(names))

    def _mknod(self, request: Reader) -> bytes:
        raise OSError(errno.EPERM, "no special files")

    def _link(self, request: Reader) -> bytes:
        directory, fid = self._fid(request.u32()), self._fid(request.u32())
        self._folder.link(fid.names, (*directory.names, request.name()))
        return b""

    def _rename(self, request: Reader) -> bytes:
        fid, directory = self._fid(request.u32()), self._fid(request.u32())
        self._move(fid.names, (*directory.names, request.name()))
        return b""

    def _renameat(self, request: Reader) -> bytes:
        old = (*self._fid(request.u32()).names, request.name())
        self._move(old, (*self._fid(request.u32()).names, request.name()))
        return b""

    def _move(self, old: Names, new: Names) -> None:
        """Fids go with what they stand for."""
        self._folder.rename(old, new)
        for fid in self._fids.values():
            if fid.names[: len(old)] == old:
                fid.names = new + fid.names[len(old) :]

    def _unlinkat(self, request: Reader) -> bytes:
        names = (*self._fid(request.u32()).names, request.name())
        self._delete(names, is_directory=bool(request.u32() & AT_REMOVEDIR))
        return b""

    def _remove(self, request: Reader) -> bytes:
        """The fid is gone in any case (Plan 9, remove(5))."""
        names = self._drop(request.u32()).names
        self._delete(names, is_directory=stat.S_ISDIR(self._folder.stat(names).st_mode))
        return b""

    def _delete(self, names: Names, *, is_directory: bool) -> None:
        """The host may use an inode again; the number is not."""
        status = self._folder.stat(names)
        self._folder.remove(names, is_directory=is_directory)
        if is_directory or status.st_nlink <= 1:
            self._numbers.pop((status.st_dev, status.st_ino), None)

    # --- the device

    def reset(self) -> None:
        """All fids are forgotten."""
        for number in list(self._fids):
            self._drop(number)
        self._message_size = MIN_MESSAGE

    def close(self) -> None:
        """Close all files, and the folder."""
        self.reset()
        self._folder.close()

    def save(self) -> State:
        """Fids by name, with the file's number; the files are the host's, and not saved."""
        fids = [
            (number, fid.names, self._known(fid), fid.fd is not None, fid.flags, fid.listing)
            for number, fid in sorted(self._fids.items())
        ]
        return {
            "message_size": self._message_size,
            "next_number": self._next_number,
            "fids": json.dumps(fids).encode(),
        }

    def _known(self, fid: Fid) -> int:
        """The number of the fid's file, 0 where it is gone."""
        try:
            return self._number(os.fstat(fid.fd) if fid.fd is not None else self._folder.stat(fid.names))
        except OSError:
            return 0

    def restore(self, state: State) -> None:
        """Find the files again by their names, and open them anew: a file that is gone meanwhile cannot be read."""
        self.reset()
        self._message_size = int_of(state, "message_size")
        self._next_number = int_of(state, "next_number")
        self._numbers.clear()
        for number, names, known, is_open, flags, listing in json.loads(bytes_of(state, "fids")):
            fid = self._fids[number] = Fid(tuple(names), listing=listing)
            with suppress(OSError):
                status = self._folder.stat(fid.names)
                self._numbers[status.st_dev, status.st_ino] = known
                if is_open:
                    self._keep(fid, self._folder.open(fid.names, flags), flags)


def _offset(offset: int) -> int:
    if offset >= 1 << 63:
        raise OSError(errno.EINVAL, "no file is that long")
    return offset
