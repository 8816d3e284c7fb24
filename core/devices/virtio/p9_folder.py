"""A folder of the host's, and nothing outside it.

A file is named by the tuple of names that lead to it from the folder. The host is never given a path of more than one
name: each directory on the way is opened from the one before, symbolic links refused, so neither "..", nor a link, nor
one put there at the wrong moment leads out. Links are shown to the guest as what they are, and followed by it alone.
What is neither a file nor a directory (a FIFO, a device) can be seen but not opened.
"""

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ...errors import ConfigError

Names = tuple[str, ...]

#: Of a guest's open flags, those that mean something here; it sends Linux's.
OPEN_FLAGS = os.O_ACCMODE | os.O_TRUNC
PERMISSIONS = 0o777
_DIRECTORY = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class Folder:
    """The folder at `path`. Raises ConfigError where there is none. Its methods raise OSError as the host does; where
    is_read_only, with EROFS for every change."""

    def __init__(self, path: Path, *, is_read_only: bool = False) -> None:
        self.is_read_only = is_read_only
        try:
            self._root = os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise ConfigError(f"{path}: {error.strerror}; a folder to share is needed") from None

    def close(self) -> None:
        """Let the folder go."""
        os.close(self._root)

    # --- finding

    @contextmanager
    def _directory(self, names: Names) -> Iterator[int]:
        """A descriptor of the directory, that serves as a starting point only."""
        found = os.dup(self._root)
        try:
            for name in names:
                below = os.open(name, _DIRECTORY, dir_fd=found)
                os.close(found)
                found = below
            yield found
        finally:
            os.close(found)

    @contextmanager
    def _pin(self, names: Names) -> Iterator[int]:
        """A descriptor of the thing itself, be it a link."""
        if not names:
            with self._directory(()) as found:
                yield found
            return
        with self._directory(names[:-1]) as parent:
            found = os.open(names[-1], os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
        try:
            yield found
        finally:
            os.close(found)

    @contextmanager
    def _plain(self, names: Names) -> Iterator[str]:
        """A host path that leads to exactly this file or directory."""
        with self._pin(names) as pinned:
            mode = os.fstat(pinned).st_mode
            if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
                raise OSError(errno.ELOOP if stat.S_ISLNK(mode) else errno.EPERM, "neither file nor directory")
            yield f"/proc/self/fd/{pinned}"

    def _check_writable(self) -> None:
        if self.is_read_only:
            raise OSError(errno.EROFS, "shared for reading only")

    @staticmethod
    def _split(names: Names) -> tuple[Names, str]:
        if not names:
            raise OSError(errno.EBUSY, "the folder itself")
        return names[:-1], names[-1]

    # --- looking

    def stat(self, names: Names) -> os.stat_result:
        """What the host says of it, of the link itself where it is one."""
        with self._pin(names) as pinned:
            return os.fstat(pinned)

    def list(self, names: Names) -> list[str]:
        """The names in a directory, sorted, so that the order is the same everywhere."""
        with self._plain(names) as path:
            return sorted(entry.name for entry in Path(path).iterdir())

    def read_link(self, names: Names) -> str:
        """Where a symbolic link says it leads."""
        parent, name = self._split(names)
        with self._directory(parent) as directory:
            return os.readlink(name, dir_fd=directory)

    # --- opening

    def open(self, names: Names, flags: int) -> int:
        """A descriptor of a file or directory."""
        if flags & (os.O_TRUNC | os.O_ACCMODE):
            self._check_writable()
        with self._plain(names) as path:
            return os.open(path, flags & OPEN_FLAGS | os.O_CLOEXEC)

    def create(self, names: Names, flags: int, mode: int) -> int:
        """A descriptor of a file that was not there, or, without O_EXCL, may have been."""
        self._check_writable()
        parent, name = self._split(names)
        with self._directory(parent) as directory:
            extra = os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            try:
                return os.open(name, flags & os.O_ACCMODE | extra, mode & PERMISSIONS, dir_fd=directory)
            except FileExistsError:
                if flags & os.O_EXCL:
                    raise
        return self.open(names, flags)

    # --- changing

    def make_directory(self, names: Names, mode: int) -> None:
        """mkdir."""
        self._check_writable()
        parent, name = self._split(names)
        with self._directory(parent) as directory:
            os.mkdir(name, mode & PERMISSIONS, dir_fd=directory)

    def make_link(self, names: Names, target: str) -> None:
        """A symbolic link, whatever it says."""
        self._check_writable()
        parent, name = self._split(names)
        with self._directory(parent) as directory:
            os.symlink(target, name, dir_fd=directory)

    def link(self, old: Names, new: Names) -> None:
        """A second name for a file."""
        self._check_writable()
        (from_, name), (to, new_name) = self._split(old), self._split(new)
        with self._directory(from_) as source, self._directory(to) as goal:
            os.link(name, new_name, src_dir_fd=source, dst_dir_fd=goal, follow_symlinks=False)

    def rename(self, old: Names, new: Names) -> None:
        """Another name, perhaps in another directory."""
        self._check_writable()
        (from_, name), (to, new_name) = self._split(old), self._split(new)
        with self._directory(from_) as source, self._directory(to) as goal:
            os.rename(name, new_name, src_dir_fd=source, dst_dir_fd=goal)

    def remove(self, names: Names, *, is_directory: bool) -> None:
        """unlink or rmdir."""
        self._check_writable()
        parent, name = self._split(names)
        with self._directory(parent) as directory:
            if is_directory:
                os.rmdir(name, dir_fd=directory)
            else:
                os.unlink(name, dir_fd=directory)

    def set_mode(self, names: Names, mode: int) -> None:
        """chmod, of the permissions alone: no set-uid program is made on the host."""
        self._check_writable()
        with self._plain(names) as path:
            os.chmod(path, mode & PERMISSIONS)  # noqa: PTH101  (a descriptor's path)

    def set_size(self, names: Names, size: int) -> None:
        """truncate."""
        self._check_writable()
        if size >= 1 << 63:
            raise OSError(errno.EFBIG, "no file is that long")
        with self._plain(names) as path:
            os.truncate(path, size)

    def set_times(self, names: Names, times: tuple[int, int] | None) -> None:
        """Access and modification time, in nanoseconds; None stands for now."""
        self._check_writable()
        parent, name = self._split(names) if names else ((), ".")
        with self._directory(parent) as directory:
            if times is None:
                os.utime(name, dir_fd=directory, follow_symlinks=False)
            else:
                os.utime(name, ns=times, dir_fd=directory, follow_symlinks=False)
