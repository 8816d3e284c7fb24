"""The shared folder: a 9P client of the tests' own does what Linux does, and what no honest client would."""

from __future__ import annotations

import errno
import os
import random
import stat
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hartvisor.core.devices.virtio.p9 import VirtioP9
from hartvisor.core.devices.virtio.p9_folder import Folder
from hartvisor.core.errors import ConfigError

from .driver import NEEDS_RESET, STATUS
from .slot import Slot

(STATFS, LOPEN, LCREATE, SYMLINK, MKNOD, RENAME, READLINK, GETATTR, SETATTR, XATTRWALK, READDIR, FSYNC, LOCK, GETLOCK,
 LINK, MKDIR, RENAMEAT, UNLINKAT) = (8, 12, 14, 16, 18, 20, 22, 24, 26, 30, 40, 50, 52, 54, 70, 72, 74, 76)
VERSION, ATTACH, FLUSH, WALK, READ, WRITE, CLUNK, REMOVE = 100, 104, 108, 110, 116, 118, 120, 122
ROOT = 0
SECRET = b"nobody inside may read this"


def s(value: str | bytes) -> bytes:
    data = value.encode() if isinstance(value, str) else value
    return len(data).to_bytes(2, "little") + data


def n(*values: int) -> bytes:
    """Words of four bytes."""
    return b"".join(value.to_bytes(4, "little") for value in values)


def d(*values: int) -> bytes:
    """Words of eight bytes."""
    return b"".join(value.to_bytes(8, "little") for value in values)


class Refused(Exception):
    """Rlerror."""


class Client:
    """Requests, one at a time."""

    ROOM = 16384

    def __init__(self, folder: Path, *, is_read_only: bool = False) -> None:
        self.slot = Slot(VirtioP9(Folder(folder, is_read_only=is_read_only), "tag"), (8,))
        self._message = self.slot.driver.allocate(self.ROOM)
        self._answer = self.slot.driver.allocate(self.ROOM)
        self.call(VERSION, n(8192) + s("9P2000.L"))
        self.call(ATTACH, n(ROOT, 0xFFFF_FFFF) + s("root") + s("") + n(0))
        self._next = 1

    def send(self, message: bytes, room: int = ROOM) -> bytes:
        """A message as it is; the answer without its header."""
        ram, ring = self.slot.ram, self.slot.driver.rings[0]
        ram.write(self._message, message)
        ring.add([(self._message, len(message), False), (self._answer, room, True)])
        self.slot.driver.kick()
        ((_, length),) = ring.take()
        answer = ram.read(self._answer, length)
        assert int.from_bytes(answer[:4], "little") == length
        assert answer[5:7] == message[5:7]
        if answer[4] == 7:
            raise Refused(errno.errorcode[int.from_bytes(answer[7:], "little")])
        assert answer[4] == message[4] + 1
        return answer[7:]

    def call(self, kind: int, body: bytes, room: int = ROOM) -> bytes:
        return self.send((7 + len(body)).to_bytes(4, "little") + bytes((kind, 0x34, 0x12)) + body, room)

    def walk(self, *names: str | bytes, start: int = ROOT) -> int:
        """A new fid."""
        fid = self._next
        self._next += 1
        answer = self.call(WALK, n(start, fid) + len(names).to_bytes(2, "little") + b"".join(map(s, names)))
        if int.from_bytes(answer[:2], "little") < len(names):
            raise Refused("ENOENT")
        return fid

    def open(self, *names: str | bytes, flags: int = os.O_RDONLY) -> int:
        fid = self.walk(*names)
        self.call(LOPEN, n(fid, flags))
        return fid

    def create(self, name: str, *parents: str, flags: int = os.O_RDWR, mode: int = 0o644) -> int:
        fid = self.walk(*parents)
        self.call(LCREATE, n(fid) + s(name) + n(flags, mode, 0))
        return fid

    def read(self, fid: int, offset: int = 0, count: int = 4096) -> bytes:
        return self.call(READ, n(fid) + d(offset) + n(count))[4:]

    def write(self, fid: int, data: bytes, offset: int = 0) -> int:
        return int.from_bytes(self.call(WRITE, n(fid) + d(offset) + n(len(data)) + data), "little")

    def names(self, *names: str, count: int = 4096) -> list[bytes]:
        """A directory's entries, in as many readings as it takes."""
        fid, offset, found = self.open(*names), 0, []
        while data := self.call(READDIR, n(fid) + d(offset) + n(count))[4:]:
            while data:
                length = int.from_bytes(data[22:24], "little")
                offset = int.from_bytes(data[13:21], "little")
                found.append(data[24 : 24 + length])
                data = data[24 + length :]
        return found

    def mode_and_size(self, fid: int) -> tuple[int, int]:
        answer = self.call(GETATTR, n(fid) + d(0x7FF))
        return int.from_bytes(answer[21:25], "little"), int.from_bytes(answer[49:57], "little")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder to share, with something secret beside it."""
    (tmp_path / "secret").write_bytes(SECRET)
    inside = tmp_path / "inside"
    (inside / "sub").mkdir(parents=True)
    (inside / "file").write_bytes(b"hello")
    (inside / "sub" / "deep").write_bytes(b"deep")
    return inside


@pytest.fixture
def client(folder: Path) -> Client:
    return Client(folder)


# --- what Linux does


def test_the_tag_is_in_the_configuration(client: Client) -> None:
    assert client.slot.mmio.load(0x100, 2) == 3
    assert bytes(client.slot.mmio.load(0x102 + at, 1) for at in range(3)) == b"tag"


def test_files_are_read_and_written(client: Client, folder: Path) -> None:
    fid = client.open("sub", "deep", flags=os.O_RDWR)
    assert client.read(fid, 1, 2) == b"ee"
    assert client.write(fid, b"!!", 4) == 2
    assert client.read(fid) == b"deep!!"
    client.call(FSYNC, n(fid, 0))
    client.call(CLUNK, n(fid))
    assert (folder / "sub" / "deep").read_bytes() == b"deep!!"


def test_files_are_made_and_removed(client: Client, folder: Path) -> None:
    fid = client.create("new", "sub", mode=0o7640)
    client.write(fid, b"x" * 5000)
    status = (folder / "sub" / "new").stat()
    assert (status.st_size, stat.S_IMODE(status.st_mode)) == (5000, 0o640 & ~umask())
    assert client.mode_and_size(fid)[1] == 5000
    with pytest.raises(Refused, match="EEXIST"):
        client.create("new", "sub", flags=os.O_RDWR | os.O_EXCL)
    client.call(UNLINKAT, n(client.walk("sub")) + s("new") + n(0))
    assert client.read(fid, 0, 3) == b"xxx"  # open, it lives on
    with pytest.raises(Refused, match="ENOENT"):
        client.walk("sub", "new")
    client.call(REMOVE, n(client.walk("file")))
    assert not (folder / "file").exists()


def umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_directories_are_made_listed_and_removed(client: Client, folder: Path) -> None:
    client.call(MKDIR, n(ROOT) + s("d") + n(0o755, 0))
    for number in range(100):
        (folder / "d" / f"file {number:02}").touch()
    expected = [b".", b"..", *(f"file {number:02}".encode() for number in range(100))]
    assert client.names("d") == client.names("d", count=200) == expected
    with pytest.raises(Refused, match="ENOTEMPTY"):
        client.call(UNLINKAT, n(ROOT) + s("d") + n(0x200))
    for number in range(100):
        (folder / "d" / f"file {number:02}").unlink()
    client.call(UNLINKAT, n(ROOT) + s("d") + n(0x200))
    assert not (folder / "d").exists()


def test_names_need_not_be_text(client: Client, folder: Path) -> None:
    (folder / os.fsdecode(b"\xff\xfe")).write_bytes(b"odd")
    assert client.read(client.open(b"\xff\xfe")) == b"odd"
    assert b"\xff\xfe" in client.names()


def test_a_fid_follows_a_rename(client: Client, folder: Path) -> None:
    fid = client.walk("sub", "deep")
    client.call(RENAMEAT, n(ROOT) + s("sub") + n(ROOT) + s("other"))
    assert (folder / "other" / "deep").exists()
    client.call(LOPEN, n(fid, 0))
    assert client.read(fid) == b"deep"
    client.call(RENAME, n(client.walk("file"), client.walk("other")) + s("moved"))
    assert (folder / "other" / "moved").read_bytes() == b"hello"


def test_attributes_are_set(client: Client, folder: Path) -> None:
    fid = client.walk("file")

    def setattr_(valid: int, mode: int = 0, size: int = 0, mtime: int = 0) -> None:
        client.call(SETATTR, n(fid, valid, mode, 7, 7) + d(size, 0, 0, mtime, 5))

    setattr_(1, mode=0o6711)
    setattr_(8, size=2)
    setattr_(0x20 | 0x100, mtime=1000)
    setattr_(2 | 4)  # owners: nothing happens
    status = (folder / "file").stat()
    assert (stat.S_IMODE(status.st_mode), status.st_size, status.st_mtime_ns) == (0o711, 2, 1_000_000_000_005)
    setattr_(0x20)
    assert (folder / "file").stat().st_mtime > 10_000


def test_links(client: Client, folder: Path) -> None:
    client.call(SYMLINK, n(ROOT) + s("link") + s("/etc/passwd") + n(0))
    assert (folder / "link").readlink() == Path("/etc/passwd")
    fid = client.walk("link")
    assert client.call(READLINK, n(fid))[2:] == b"/etc/passwd"
    assert stat.S_ISLNK(client.mode_and_size(fid)[0])
    client.call(LINK, n(ROOT, client.walk("file")) + s("twin"))
    assert (folder / "twin").stat().st_nlink == 2


def test_a_read_only_share_takes_no_change(folder: Path) -> None:
    client = Client(folder, is_read_only=True)
    assert client.read(client.open("file")) == b"hello"
    fid = client.walk("file")
    for kind, body in (
        (LOPEN, n(fid, os.O_WRONLY)), (LOPEN, n(fid, os.O_TRUNC)), (MKDIR, n(ROOT) + s("x") + n(0, 0)),
        (LCREATE, n(ROOT) + s("x") + n(0, 0, 0)), (SYMLINK, n(ROOT) + s("x") + s("y") + n(0)),
        (LINK, n(ROOT, fid) + s("x")), (RENAME, n(fid, ROOT) + s("x")), (UNLINKAT, n(ROOT) + s("file") + n(0)),
        (SETATTR, n(fid, 1, 0, 0, 0) + d(0, 0, 0, 0, 0)), (SETATTR, n(fid, 8, 0, 0, 0) + d(0, 0, 0, 0, 0)),
        (SETATTR, n(fid, 0x20, 0, 0, 0) + d(0, 0, 0, 0, 0)), (REMOVE, n(fid)),
    ):  # fmt: skip
        with pytest.raises(Refused, match="EROFS"):
            client.call(kind, body)
    assert sorted(path.name for path in folder.iterdir()) == ["file", "sub"]


def test_what_is_not_ours_to_do_is_refused(client: Client) -> None:
    for kind, body, reason in (
        (MKNOD, n(ROOT) + s("x") + n(0o20644, 1, 3, 0), "EPERM"),
        (XATTRWALK, n(ROOT, 99) + s("user.x"), "ENOTSUP"),
        (CLUNK, n(77), "EBADF"),
        (READ, n(ROOT) + d(0) + n(1), "EBADF"),
        (WALK, n(ROOT, 5) + b"\x11\0" + s("x") * 17, "EINVAL"),
        (LOPEN, n(ROOT), "EPROTO"),
        (VERSION, n(100) + s("9P2000.L"), "EMSGSIZE"),
    ):
        with pytest.raises(Refused, match=reason):
            client.call(kind, body)
    assert client.call(LOCK, n(ROOT) + bytes(29) + s("x")) == b"\0"
    assert client.call(GETLOCK, n(ROOT) + bytes(21) + s("x"))[0] == 2
    assert len(client.call(STATFS, n(ROOT))) == 60
    assert client.call(VERSION, n(1 << 30) + s("9P2000"))[6:] == b"unknown"


def test_a_restored_share_finds_its_files_again(client: Client, folder: Path) -> None:
    fid = client.open("file", flags=os.O_RDWR)
    before = client.call(GETATTR, n(fid) + d(0))
    client.slot = client.slot.move_to(VirtioP9(Folder(folder), "tag"))
    assert client.call(GETATTR, n(fid) + d(0)) == before
    assert client.write(fid, b"J") == 1
    assert (folder / "file").read_bytes() == b"Jello"


def test_sharing_what_is_no_folder_is_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="nowhere: No such file or directory; a folder to share is needed"):
        Folder(tmp_path / "nowhere")


# --- what no honest client does


@pytest.mark.parametrize("name", ["../secret", "..", ".", "", "/", "/etc/passwd", "sub/../../secret", "a\0b"])
def test_no_name_leads_out(client: Client, folder: Path, name: str) -> None:
    before = sorted(folder.rglob("*"))
    for kind, body in (
        (LCREATE, n(ROOT) + s(name) + n(os.O_RDWR, 0o644, 0)), (MKDIR, n(ROOT) + s(name) + n(0o755, 0)),
        (SYMLINK, n(ROOT) + s(name) + s("x") + n(0)), (UNLINKAT, n(ROOT) + s(name) + n(0)),
        (RENAMEAT, n(ROOT) + s("file") + n(ROOT) + s(name)), (RENAMEAT, n(ROOT) + s(name) + n(ROOT) + s("x")),
        (LINK, n(ROOT, client.walk("file")) + s(name)), (RENAME, n(client.walk("file"), ROOT) + s(name)),
    ):  # fmt: skip
        with pytest.raises(Refused, match="EINVAL"):
            client.call(kind, body)
    if name != "..":
        with pytest.raises(Refused, match="ENOENT"):
            client.walk(name)
    assert sorted(folder.rglob("*")) == before


def test_walking_up_from_the_top_stays_there(client: Client) -> None:
    assert client.read(client.open("..", "..", "sub", "..", "file")) == b"hello"
    with pytest.raises(Refused, match="ENOENT"):
        client.walk("..", "secret")


@pytest.mark.parametrize("target", ["../secret", "/etc/passwd", "..", "/"])
def test_no_link_is_followed(client: Client, folder: Path, target: str) -> None:
    (folder / "link").symlink_to(target)
    fid = client.walk("link")
    for flags in (os.O_RDONLY, os.O_RDWR, os.O_WRONLY | os.O_TRUNC):
        with pytest.raises(Refused, match="ELOOP"):
            client.call(LOPEN, n(fid, flags))
    for flags in (os.O_RDWR, os.O_WRONLY | os.O_TRUNC):
        with pytest.raises(Refused, match="ELOOP"):
            client.create("link", flags=flags)
    for valid in (1, 8):
        with pytest.raises(Refused, match="ELOOP"):
            client.call(SETATTR, n(fid, valid, 0o777, 0, 0) + d(0, 0, 0, 0, 0))
    for name in ("secret", "passwd", "inside"):
        with pytest.raises(Refused, match="ENOENT"):
            client.walk("link", name)
    with pytest.raises(Refused, match="ENOTDIR"):
        client.call(MKDIR, n(fid) + s("x") + n(0o755, 0))
    assert (folder.parent / "secret").read_bytes() == SECRET


def test_a_directory_that_becomes_a_link_leads_nowhere(client: Client, folder: Path) -> None:
    """The guest has a fid below the directory; then somebody on the host (or the guest) puts a link in its place."""
    fid, directory = client.walk("sub", "deep"), client.walk("sub")
    (folder / "sub" / "deep").rename(folder / "deep")
    (folder / "sub").rmdir()
    (folder / "sub").symlink_to("..")
    for kind, body in (
        (LOPEN, n(fid, 0)), (GETATTR, n(fid) + d(0)), (LCREATE, n(directory) + s("x") + n(2, 0o644, 0)),
        (UNLINKAT, n(directory) + s("secret") + n(0)), (LINK, n(ROOT, fid) + s("x")),
    ):  # fmt: skip
        with pytest.raises(Refused, match=r"ENOTDIR|ELOOP"):
            client.call(kind, body)
    assert (folder.parent / "secret").read_bytes() == SECRET


def test_a_fifo_is_seen_but_not_opened(client: Client, folder: Path) -> None:
    os.mkfifo(folder / "fifo")
    fid = client.walk("fifo")
    assert stat.S_ISFIFO(client.mode_and_size(fid)[0])
    with pytest.raises(Refused, match="EPERM"):
        client.call(LOPEN, n(fid, 0))


def test_fids_and_open_files_are_limited(client: Client) -> None:
    with pytest.raises(Refused, match="EMFILE"):
        for _ in range(600):
            client.open("file")
    client.call(VERSION, n(8192) + s("9P2000.L"))
    client.call(ATTACH, n(ROOT, 0) + s("") + s("") + n(0))
    client.open("file")


@pytest.mark.parametrize("room", [7, 10])
def test_without_room_for_an_error_the_device_needs_a_reset(client: Client, room: int) -> None:
    driver = client.slot.driver
    driver.rings[0].add([(client._message, 7, False), (client._answer, room, True)])
    driver.kick()
    assert driver.load(STATUS) & NEEDS_RESET


def test_an_answer_fits_its_buffers(client: Client) -> None:
    with pytest.raises(Refused, match="EMSGSIZE"):
        client.call(GETATTR, n(ROOT) + d(0), room=100)
    fid = client.open("file")
    assert client.call(READ, n(fid) + d(0) + n(4096), room=14)[4:] == b"hel"
    for size in (0, 6, 8, 9000, 0xFFFF_FFFF):
        with pytest.raises(Refused, match="EMSGSIZE"):
            client.send(size.to_bytes(4, "little") + bytes((CLUNK, 0, 0)))


@given(st.data())
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_message_at_all_does_harm(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    """Random messages, of the right kind or not: an answer or an error comes, and nothing outside changes."""
    outside = tmp_path_factory.mktemp("p9")
    (outside / "secret").write_bytes(SECRET)
    (outside / "inside" / "a").mkdir(parents=True)
    (outside / "inside" / "b").symlink_to("..")
    client = Client(outside / "inside")
    word = st.sampled_from([n(0), n(1), n(2), n(3), n(0xFFFF_FFFF), n(0x241), d(0), d(1 << 63), b"\1\0"])
    name = st.sampled_from(["a", "b", "..", "", "/", "c", "secret", "b/secret"]).map(s)
    kinds = [*range(8, 78, 2), VERSION, ATTACH, FLUSH, WALK, READ, WRITE, CLUNK, REMOVE, 7, 255]
    for fid, names in ((1, ["a"]), (2, ["b"])):
        client.call(WALK, n(ROOT, fid) + len(names).to_bytes(2, "little") + b"".join(map(s, names)))
    for _ in range(data.draw(st.integers(1, 15))):
        body = b"".join(data.draw(st.lists(st.one_of(word, word, name, st.binary(max_size=5)), max_size=9)))
        try:
            client.call(data.draw(st.sampled_from(kinds)), body)
        except Refused:
            continue
    assert not client.slot.driver.needs_reset
    assert sorted(path.name for path in outside.iterdir()) == ["inside", "secret"]
    assert (outside / "secret").read_bytes() == SECRET
    client.slot.device.close()


def test_the_order_of_a_listing_does_not_depend_on_the_host(client: Client, folder: Path) -> None:
    names = [f"{number:03}" for number in range(50)]
    random.Random(1).shuffle(names)
    for name in names:
        (folder / name).touch()
    assert client.names()[2:52] == sorted(name.encode() for name in names)
