"""The child locks itself in: limits, then Landlock for files, then seccomp for everything else; there is no way back.

What the kernel offers decides how: `STRENGTH` says which of them hold. Where there is no Landlock no file can be opened
at all; where there is no seccomp (not Linux, or forbidden) an audit hook refuses, which stops mistakes, not malice.
Sources: landlock(7), seccomp(2), and the kernel's Documentation/userspace-api/{landlock,seccomp_filter}.rst.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import resource
import stat
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path
from struct import Struct
from typing import Any, Final

from .syscalls import ALLOWED, ARCHITECTURES

STRENGTH: list[str] = []
"""What holds this process: "limits", "landlock", "seccomp", "audit"."""

_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_SET_SECCOMP, _PR_SET_NO_NEW_PRIVS = 1, 4, 22, 38
_SECCOMP_MODE_FILTER: Final = 2
_SIGKILL: Final = 9


@dataclass(frozen=True)
class Limits:
    """cpu: seconds. memory: bytes of address space. files: descriptors open at once."""

    cpu: int
    memory: int = 512 << 20
    files: int = 64


def confine(limits: Limits) -> None:
    """Lock this process in. It can then compute, read Python's library, and write to what is open."""
    for what, limit in (
        (resource.RLIMIT_CPU, limits.cpu), (resource.RLIMIT_AS, limits.memory), (resource.RLIMIT_NOFILE, limits.files),
        (resource.RLIMIT_FSIZE, 0), (resource.RLIMIT_CORE, 0), (resource.RLIMIT_NPROC, 0),
    ):
        try:
            # Both limits are one: at the hard one the kernel kills, with no signal that could be caught before.
            resource.setrlimit(what, (limit, limit))
        except (OSError, ValueError):
            continue  # a system that cannot limit this; what else holds is in STRENGTH
    STRENGTH.append("limits")
    if not sys.platform.startswith("linux"):
        _audit()
        return
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_PR_SET_PDEATHSIG, _SIGKILL, 0, 0, 0)
    libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    has_landlock = _restrict_files(libc)
    if has_landlock:
        STRENGTH.append("landlock")
    if _filter_calls(libc, has_landlock):
        STRENGTH.append("seccomp")
    else:
        _audit()


# --- files

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_READ_FILE, _READ_DIR = 1 << 2, 1 << 3
_PATH_BENEATH: Final = 1
_RULE: Final = Struct("=Qi")
_FILE_ACCESS: Final = {1: 0x1FFF, 2: 0x3FFF, 3: 0x7FFF, 4: 0x7FFF}
"""What each version of Landlock can refuse; 5 and later: 0xffff."""
_NETWORK: Final = 3
"""Binding and connecting TCP sockets (version 4)."""
_SCOPED: Final = 3
"""Abstract sockets and signals beyond the sandbox (version 6)."""


def landlock_version() -> int:
    """What the kernel offers: 1 and up, 0 for nothing."""
    if not sys.platform.startswith("linux"):
        return 0
    version: int = ctypes.CDLL(None).syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), 1)
    return max(version, 0)


def _restrict_files(libc: Any) -> bool:
    """Only Python's library can be read, nothing can be written; whether the kernel can do this."""
    version = landlock_version()
    if version < 1:
        return False
    words = [_FILE_ACCESS.get(version, 0xFFFF), _NETWORK, _SCOPED][: 1 if version < 4 else 2 if version < 6 else 3]
    attributes = (ctypes.c_uint64 * len(words))(*words)
    ruleset = libc.syscall(_CREATE_RULESET, attributes, ctypes.c_size_t(8 * len(words)), 0)
    if ruleset < 0:
        return False
    for path in _library():
        try:
            descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
        except OSError:
            continue
        is_folder = stat.S_ISDIR(os.fstat(descriptor).st_mode)
        rule = _RULE.pack(_READ_FILE | _READ_DIR if is_folder else _READ_FILE, descriptor)
        libc.syscall(_ADD_RULE, ruleset, _PATH_BENEATH, rule, 0)
        os.close(descriptor)
    is_restricted: bool = libc.syscall(_RESTRICT_SELF, ruleset, 0) == 0
    os.close(ruleset)
    return is_restricted


def _library() -> list[Path]:
    """Python's own library, without what is installed into it, and the folders of the shared objects in use."""
    places = []
    for folder in {sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib")}:
        if folder and Path(folder).is_dir():
            places += [each for each in Path(folder).iterdir() if each.name not in ("site-packages", "dist-packages")]
    try:
        maps = Path("/proc/self/maps").read_text()
    except OSError:
        maps = ""
    mapped = {Path(line.split(maxsplit=5)[5]) for line in maps.splitlines() if ".so" in line and "/" in line}
    system = {each.parent for each in mapped if str(each).startswith(("/lib", "/usr/lib"))}
    return places + sorted(each for each in system if "python" not in str(each))


# --- system calls

_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06  # BPF_LD|W|ABS, JMP|JEQ, JGE, JSET, RET
_INSTRUCTION: Final = Struct("=HBBI")
_ALLOW, _REFUSE, _KILL = 0x7FFF_0000, 0x0005_0000, 0x8000_0000
_NUMBER_AT, _ARCHITECTURE_AT, _ARGUMENTS_AT = 0, 4, 16
_X32: Final = 0x4000_0000
_TO_WRITE: Final = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


def _argument(index: int, high: bool = False) -> tuple[int, int, int, int]:
    """Load half of an argument (little endian)."""
    return _LOAD, 0, 0, _ARGUMENTS_AT + 8 * index + 4 * high


def filter_program(machine: str, may_open: bool, pid: int) -> bytes:
    """The filter, as BPF for this machine: what is not ALLOWED fails with EPERM.

    Files are opened for reading, if at all; limits may be read; a signal may be sent to oneself, as abort() does.
    """
    architecture, numbers = ARCHITECTURES[machine]
    program: list[tuple[int, int, int, int]] = [
        (_LOAD, 0, 0, _ARCHITECTURE_AT), (_EQUAL, 1, 0, architecture), (_RETURN, 0, 0, _KILL),
        (_LOAD, 0, 0, _NUMBER_AT), (_AT_LEAST, 0, 1, _X32), (_RETURN, 0, 0, _REFUSE | errno.EPERM)]
    for name in ALLOWED:
        if name in numbers:
            program += [(_EQUAL, 0, 1, numbers[name]), (_RETURN, 0, 0, _ALLOW)]
    special = {
        "ioctl": [(_RETURN, 0, 0, _REFUSE | errno.ENOTTY)],
        "tgkill": [_argument(0), (_EQUAL, 0, 1, pid), (_RETURN, 0, 0, _ALLOW)],
        "prlimit64": [_argument(2), (_EQUAL, 0, 3, 0), _argument(2, True), (_EQUAL, 0, 1, 0), (_RETURN, 0, 0, _ALLOW)]}
    for name, flags in (("open", 1), ("openat", 2)):
        if may_open:
            special[name] = [_argument(flags), (_ANY_BIT, 1, 0, _TO_WRITE), (_RETURN, 0, 0, _ALLOW)]
        special.setdefault(name, []).append((_RETURN, 0, 0, _REFUSE | errno.EACCES))
    for name, body in special.items():
        if name in numbers:
            body = [*body, (_RETURN, 0, 0, _REFUSE | errno.EPERM)]
            program += [(_LOAD, 0, 0, _NUMBER_AT), (_EQUAL, 0, len(body), numbers[name]), *body]
    program.append((_RETURN, 0, 0, _REFUSE | errno.EPERM))
    return b"".join(_INSTRUCTION.pack(*each) for each in program)


def _filter_calls(libc: Any, may_open: bool) -> bool:
    """Whether the filter is in force."""
    machine = platform.machine()
    if machine not in ARCHITECTURES or sys.byteorder != "little":
        return False
    program = filter_program(machine, may_open, os.getpid())
    buffer = ctypes.create_string_buffer(program, len(program))

    class Program(ctypes.Structure):
        """struct sock_fprog."""

        _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_void_p))

    described = Program(len(program) // _INSTRUCTION.size, ctypes.cast(buffer, ctypes.c_void_p))
    is_in_force: bool = libc.prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.byref(described), 0, 0) == 0
    return is_in_force


# --- without the kernel's help

_REFUSED: Final = ("socket.", "subprocess.", "os.exec", "os.fork", "os.posix_spawn", "os.system", "os.kill",
                   "os.remove", "os.rename", "os.mkdir", "os.rmdir", "os.link", "os.symlink", "os.chmod",
                   "os.truncate", "shutil.", "ctypes.", "ftplib.", "urllib.")


def _audit() -> None:
    """Refuse from within Python: it helps against mistakes, and whoever means harm gets round it."""

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open":
            is_writing = isinstance(arguments[1], str) and set(arguments[1]) & set("wax+")
            if is_writing or (arguments[2] and isinstance(arguments[2], int) and arguments[2] & _TO_WRITE):
                raise PermissionError(errno.EACCES, "a lab's code writes no files")
        elif event.startswith(_REFUSED):
            raise PermissionError(errno.EPERM, f"a lab's code has no {event.split('.')[0]}")

    sys.addaudithook(hook)
    STRENGTH.append("audit")
