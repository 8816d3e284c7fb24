"""The image `debian`: Debian's own kernel, firmware and busybox for riscv64, fetched by apt into the user's cache.

Nothing in it is ours but `INIT` and the packing: kernel and modules are the files of the Debian packages, whose
signatures apt has checked. The initramfs holds busybox and the modules of the devices that the machine has.
"""

from __future__ import annotations

import fcntl
import json
import lzma
import re
import shutil
import subprocess
import tarfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from .apt import AptError, PrivateApt, Progress, cache_folder, no_progress
from .cpio import CHARACTER_DEVICE, FILE, FOLDER, Entry, write_cpio
from .kernel_modules import SUFFIX, module_name, module_needs, modules_alias, modules_dep, with_needs

SUITE, ARCHITECTURE = "trixie", "riscv64"
KERNEL_PACKAGE = re.compile(r"linux-image-6\.12\.(\d+)\S*-riscv64")
LAYOUT = 5
"""Of the folder and the initramfs."""

KERNEL, INITRD, MANIFEST = "Image", "initramfs.cpio", "manifest.json"
FIRMWARE = {
    "fw_jump.bin": ("opensbi", "usr/lib/riscv64-linux-gnu/opensbi/generic/fw_jump.bin"),
    "fw_dynamic.bin": ("opensbi", "usr/lib/riscv64-linux-gnu/opensbi/generic/fw_dynamic.bin"),
    "u-boot.bin": ("u-boot-qemu", "usr/lib/u-boot/qemu-riscv64/u-boot.bin"),
    "u-boot-smode.bin": ("u-boot-qemu", "usr/lib/u-boot/qemu-riscv64_smode/u-boot.bin"),
}
"""Our name for a file to the package it comes in and its path there."""

BUS = "virtio_mmio"
DRIVERS = {
    "0x0001": "virtio_net", "0x0002": "virtio_blk", "0x0004": "virtio_rng", "0x0005": "virtio_balloon",
    "0x0009": "9pnet_virtio",
}
"""Virtio device number, as sysfs has it, to its driver's module: /init loads those that there is a device for."""

ON_DEMAND = ("ext4", "crc32c_generic", "9p", "kvm", "qemu_fw_cfg")
"""Modules that mount, or the user, loads with modprobe."""

MODULES = (BUS, *DRIVERS.values(), *ON_DEMAND)

INIT = """#!/bin/busybox sh
/bin/busybox mount -t proc proc /proc
/bin/busybox mount -t sysfs sysfs /sys
/bin/busybox mount -t devtmpfs devtmpfs /dev
/bin/busybox --install -s /bin
export PATH=/bin HOME=/root TERM=linux
hostname debian
if ls /sys/bus/platform/devices | grep -q {bus}; then
    modprobe {bus}
    for device in /sys/bus/virtio/devices/*/device; do
        case $(cat $device 2>/dev/null) in
{cases}
        esac
    done
fi
cd /root
setsid cttyhack sh
poweroff -f
"""


def debian_folder() -> Path:
    """Where the image's files lie once they are fetched; versions that lay them out differently do not share it."""
    return cache_folder() / f"debian-{LAYOUT}"


def is_fetched() -> bool:
    """Whether they lie there, all of them and of the present layout: the folder appears whole or not at all."""
    try:
        manifest = json.loads((debian_folder() / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(manifest, dict) and manifest.get("layout") == LAYOUT


def fetch(progress: Progress = no_progress, *, again: bool = False) -> Path:
    """Fetch the image, unless it is there (`again`: even then); the folder of its files.

    Raises AptError. An interrupted fetch leaves the folder as it was, and downloads that the next one goes on with.
    """
    folder = debian_folder()
    with _one_at_a_time(folder.with_suffix(".lock")):
        if is_fetched() and not again:
            return folder
        work = folder.with_suffix(".work")
        try:
            apt = PrivateApt(work / "apt", SUITE, ARCHITECTURE)
            apt.update(progress)
            kernel = newest_kernel(apt.names("linux-image-6.12"))
            archives = apt.download([kernel, "busybox-static", "opensbi", "u-boot-qemu"], progress)
            made = work / "made"
            shutil.rmtree(made, ignore_errors=True)
            made.mkdir()
            _make_files(made, kernel, archives, progress)
            if folder.exists():
                shutil.rmtree(work / "old", ignore_errors=True)
                folder.rename(work / "old")
            made.rename(folder)
        except OSError as error:
            raise AptError(f"{error.filename or folder}: {error.strerror}") from error
        shutil.rmtree(work)
    return folder


@contextmanager
def _one_at_a_time(lock: Path) -> Iterator[None]:
    """Keep others from fetching meanwhile; they wait."""
    try:
        lock.parent.mkdir(parents=True, exist_ok=True)
        file = lock.open("w")
    except OSError as error:
        raise AptError(f"{error.filename}: {error.strerror}") from error
    with file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def newest_kernel(packages: list[str]) -> str:
    """The package of the newest 6.12 kernel among these. Raises AptError where there is none."""
    kernels = [(int(match[1]), name) for name in packages if (match := KERNEL_PACKAGE.fullmatch(name))]
    if not kernels:
        raise AptError(f"Debian {SUITE} has no package linux-image-6.12.*-riscv64")
    return max(kernels)[1]


def _make_files(folder: Path, kernel: str, archives: dict[str, Path], progress: Progress) -> None:
    progress("unpacking", 0.0)
    linux = _read_package(archives[kernel], lambda path: path.startswith("boot/vmlinu") or bool(SUFFIX.search(path)))
    progress("unpacking", 0.7)
    busybox = _read_package(archives["busybox-static"], lambda path: path.endswith("bin/busybox"))
    (image,) = (data for path, data in linux.items() if path.startswith("boot/"))
    modules = {path.partition("lib/modules/")[2]: data for path, data in linux.items() if "lib/modules/" in path}
    (folder / KERNEL).write_bytes(image)
    # Not compressed: the kernel would need 400 million instructions, a fifth of its boot, to undo it.
    (folder / INITRD).write_bytes(write_cpio(initramfs_entries(next(iter(busybox.values())), modules)))
    progress("unpacking", 0.9)
    for name, (package, path) in FIRMWARE.items():
        (folder / name).write_bytes(_read_package(archives[package], path.__eq__)[path])
    packages = {name: archive.stem.split("_")[1].replace("%3a", ":") for name, archive in archives.items()}
    manifest = {"layout": LAYOUT, "suite": SUITE, "packages": packages}
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n")
    progress("unpacking", 1.0)


def _read_package(archive: Path, is_wanted: Callable[[str], bool]) -> dict[str, bytes]:
    """The wanted files of a Debian package, by path without the leading `./`. Raises AptError for a damaged one."""
    command = ["dpkg-deb", "--fsys-tarfile", str(archive)]
    files: dict[str, bytes] = {}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as unpacking:
        try:
            with tarfile.open(fileobj=unpacking.stdout, mode="r|") as tar:
                for member in tar:
                    path = member.name.removeprefix("./")
                    if member.isreg() and is_wanted(path):
                        file = tar.extractfile(member)
                        assert file is not None
                        files[path] = file.read()
        except tarfile.TarError as error:
            raise AptError(f"{archive.name} cannot be unpacked: {error}") from error
        finally:
            assert unpacking.stdout is not None
            while unpacking.stdout.read(1 << 20):  # the padding behind the tar file's end
                pass
    if unpacking.returncode or not files:
        raise AptError(f"{archive.name} cannot be unpacked, or lacks what was looked for in it")
    return files


def init_script() -> str:
    """The initramfs's /init."""
    cases = "\n".join(f"        {number}) modprobe {driver} ;;" for number, driver in DRIVERS.items())
    return INIT.format(bus=BUS, cases=cases)


def initramfs_entries(busybox: bytes, modules: dict[str, bytes]) -> list[Entry]:
    """What is in the initramfs.

    modules: every module of the kernel, packed or not, by path below lib/modules (`6.12.x/kernel/...`).
    """
    # Only names lead from one module to another, so only what is needed has to be unpacked.
    places = {module_name(path): path for path in modules}
    unpacked: dict[str, bytes] = {}
    needs: dict[str, list[str]] = {}
    waiting = list(MODULES)
    for name in waiting:
        if name in needs or name not in places:
            continue
        data = modules[places[name]]
        unpacked[name] = lzma.decompress(data) if places[name].endswith(".xz") else data
        needs[name] = module_needs(unpacked[name])
        waiting += needs[name]
    missing = [name for name in MODULES if name not in needs]
    if missing:
        raise AptError(f"the kernel's package has no module {', '.join(missing)}")
    order = with_needs(MODULES, needs)
    release = places[order[0]].split("/")[0]
    paths = {name: "kernel/" + Path(places[name]).name.removesuffix(".xz") for name in order}
    base = f"lib/modules/{release}"
    folders = ("bin", "dev", "etc", "lib", "lib/modules", base, f"{base}/kernel", "mnt", "proc", "root", "sbin", "sys",
               "tmp")
    return [
        *(Entry(name, FOLDER | 0o755) for name in folders),
        Entry("dev/console", CHARACTER_DEVICE | 0o600, device=(5, 1)),
        Entry("bin/busybox", FILE | 0o755, busybox),
        Entry("sbin/modprobe", FILE | 0o755, b'#!/bin/busybox sh\nexec /bin/busybox modprobe "$@"\n'),
        Entry("init", FILE | 0o755, init_script().encode()),
        *(Entry(f"{base}/{paths[name]}", FILE | 0o644, unpacked[name]) for name in order),
        Entry(f"{base}/modules.dep", FILE | 0o644, modules_dep(paths, needs).encode()),
        Entry(f"{base}/modules.alias", FILE | 0o644, modules_alias({name: unpacked[name] for name in order}).encode()),
    ]
