"""Builds every guest with the C compiler of `ziglang`: `python -m hartvisor.guest.build`.

One call of the compiler makes one image, from its sources and the runtime in lib/; or a program for the Linux of the
image `debian`. A file of the compiler's and the sources' fingerprint next to the work tells whether an image is up to
date. Paths in the debug data start with `guest/`, so that images do not depend on where they were built.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.metadata
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from .catalog import BENCHMARKS, CATALOG, FLOAT_FLAGS, GUEST, IMAGES, PROGRAMS, TERN_PROGRAMS, ImageInfo
from .cpio import FILE, Entry, write_cpio
from .ramdisk import pack, strip_elf

WORK = GUEST.parent / "build" / "guests"
WARNINGS = ("-Wall", "-Wextra", "-Werror", "-Wno-unused-parameter")
FLAGS = (
    *("-target", "riscv64-freestanding-none", "-mcpu=generic_rv64+m+a+c+zicsr+zifencei", "-mabi=lp64"),
    *("-mcmodel=medany", "-std=gnu11", "-O2", "-g", "-ffreestanding", "-nostdlib", "-static", "-fno-pic"),
    # Zig adds these by default; a kernel wants neither.
    *("-fno-sanitize=undefined", "-fno-stack-protector"),
    *("-fno-strict-aliasing", "-fno-asynchronous-unwind-tables", "-fno-unwind-tables"),
    *WARNINGS,
    *("-Wl,--build-id=none", f"-ffile-prefix-map={GUEST}=guest", "-fdebug-compilation-dir=."),
    *("-I", str(GUEST / "lib"), "-I", str(GUEST / "tiny" / "runtime")),
)
# For programs that run on Linux: the C library is musl, which Zig compiles when it is first asked for.
LINUX_FLAGS = ("-target", "riscv64-linux-musl", "-static", "-s", "-std=gnu11", "-O2", *WARNINGS)


class BuildError(Exception):
    """A guest could not be built; the message is what to show."""


def find(patterns: Iterable[str]) -> list[Path]:
    """Return the files below guest/ that match the glob patterns, in a fixed order."""
    return sorted({path for pattern in patterns for path in GUEST.glob(pattern)})


def fingerprint(flags: Iterable[str], inputs: Iterable[Path]) -> str:
    """Return a hash of all that a compiler's output depends on: the compiler, its flags, its input files."""
    digest = hashlib.sha256(repr((compiler_version(), *flags)).encode())
    for path in inputs:
        digest.update(f"{path.name}\0".encode() + path.read_bytes())
    return digest.hexdigest()


def compiler_version() -> str:
    """Return the version of ziglang, "" if it is not installed."""
    try:
        return importlib.metadata.version("ziglang")
    except importlib.metadata.PackageNotFoundError:
        return ""


def replace(path: Path, content: bytes) -> None:
    """Write a file such that nobody ever sees half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
        file.write(content)
    Path(file.name).chmod(0o644)
    Path(file.name).replace(path)


def compile_elf(sources: list[Path], script: Path, flags: Iterable[str], inputs: list[Path], target: Path) -> bool:
    """Compile and link a guest from `sources` into `target`; `inputs` are all files read. False: it was up to date."""
    return run_compiler(sources, (*FLAGS, *flags, "-T", str(script)), inputs, target)


def run_compiler(sources: list[Path], flags: tuple[str, ...], inputs: list[Path], target: Path) -> bool:
    """As compile_elf, with these flags and no others."""
    stamp = WORK / "stamps" / f"{hashlib.sha256(str(target).encode()).hexdigest()[:16]}-{target.stem}"
    current = fingerprint(flags, inputs)
    if target.is_file() and stamp.is_file() and stamp.read_text() == current:
        return False
    if not compiler_version():
        raise BuildError("building the guests needs the Python package ziglang: pip install ziglang")
    # Zig keeps what it has compiled; a folder of our own leaves the user's home alone.
    cache = str(WORK / "zig")
    environment = {"ZIG_GLOBAL_CACHE_DIR": cache, "ZIG_LOCAL_CACHE_DIR": cache, **os.environ}
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder, target.name)
        command = [sys.executable, "-m", "ziglang", "cc", *flags, *map(str, sources), "-o", str(output)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        if done.returncode != 0 or not output.is_file():
            raise BuildError(f"compiling {target.stem} failed:\n{done.stderr.strip()}")
        replace(target, output.read_bytes())
    replace(stamp, current.encode())
    return True


def build_program(name: str, patterns: Iterable[str]) -> Path:
    """Build a user program of the teaching kernel from its sources; return its ELF file."""
    shared = ("user/start.S", "user/user.c", "lib/print.c", "lib/string.c")
    sources = find([*shared, *patterns])
    inputs = [*sources, *find(["user/*.h", "user/user.ld", "user/workload/*.h", "kernel/abi.h", "lib/*.h"])]
    target = TERN_PROGRAMS / f"{name}.elf"
    flags = ("-I", str(GUEST / "user"), "-I", str(GUEST / "kernel"))
    compile_elf(sources, GUEST / "user" / "user.ld", flags, inputs, target)
    return target


def build_ramdisk(pool: ThreadPoolExecutor) -> Path:
    """Build the user programs (each file of user/ and each folder in it) and pack them with the texts of files/."""
    programs = {path.stem: f"user/{path.name}" for path in find(["user/*.c"]) if path.stem != "user"}
    programs |= {path.name: f"user/{path.name}/*.c" for path in find(["user/*"]) if path.is_dir()}
    files = {path.name: path.read_bytes() for path in find(["files/*"])}
    for elf in pool.map(lambda name: build_program(name, [programs[name]]), programs):
        files[elf.stem] = strip_elf(elf.read_bytes())
    target = WORK / "ramdisk.img"
    archive = pack(files)
    if not target.is_file() or target.read_bytes() != archive:
        replace(target, archive)
    return target


def build_image(info: ImageInfo, ramdisk: Path, folder: Path) -> bool:
    """Build one guest into `folder`; false if it was up to date."""
    script = GUEST / ("bench/runtime/bench.ld" if info.is_benchmark else "lib/guest.ld")
    sources = find(info.sources if info.is_benchmark else [*info.sources, "lib/*.[cS]"])
    has_ramdisk = any(path.name == "ramdisk.S" for path in sources)
    inputs = [*sources, *find(["lib/*.h", "kernel/*.h", "tiny/runtime/*.h", "bench/runtime/*.h"]), script]
    flags = info.flags
    if info.is_benchmark:
        flags = (*flags, "-I", str(GUEST / "bench" / "runtime"))
    if has_ramdisk:
        # Zig's cache does not see what .incbin reads; the digest makes another archive another compilation.
        digest = hashlib.sha256(ramdisk.read_bytes()).hexdigest()
        flags = (*flags, f"-DRAMDISK_DIGEST={digest}", f"-Wa,-I,{ramdisk.parent}")
    return compile_elf(sources, script, flags, inputs, folder / info.path.name)


def build_programs(target: Path) -> bool:
    """Build what goes with Debian into the archive `target`, a second part of its initramfs: kvmrun, and the guest that
    it runs. False if it was up to date."""
    headers = find(["kvm/*.h"])
    program, guest = WORK / "kvm" / "kvmrun", WORK / "kvm" / "nested.elf"
    sources = find(["kvm/kvmrun.c"])
    run_compiler(sources, LINUX_FLAGS, [*sources, *headers], program)
    sources = find(["kvm/nested.[cS]", "tiny/runtime/*.[cS]", "lib/*.[cS]"])
    inputs = [*sources, *headers, *find(["tiny/runtime/*.h", "lib/*.h", "lib/*.ld"])]
    compile_elf(sources, GUEST / "lib" / "guest.ld", FLOAT_FLAGS, inputs, guest)
    archive = write_cpio([
        Entry("bin/kvmrun", FILE | 0o755, program.read_bytes()),
        Entry("root/nested.elf", FILE | 0o644, strip_elf(guest.read_bytes())),
    ])
    if target.is_file() and target.read_bytes() == archive:
        return False
    replace(target, archive)
    return True


def build(names: Iterable[str] = (), folder: Path = IMAGES) -> None:
    """Build the guests `names` (all if none are given) into `folder`, and tell about each that was not up to date.

    Raises:
        BuildError: no such guest, no sources, no compiler, or it found an error.
    """
    rows = (*CATALOG, *BENCHMARKS)
    wanted = set(names) or {info.name for info in rows}
    if unknown := wanted - {info.name for info in rows}:
        raise BuildError(f"no guest named {', '.join(sorted(unknown))}; there are {', '.join(i.name for i in rows)}")
    if not (GUEST.parent / "setup.py").is_file():
        raise BuildError(f"{GUEST} is an installed package, which holds the built images: build in a source tree")
    chosen = [info for info in rows if info.name in wanted]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        programs = None if names else pool.submit(build_programs, folder / PROGRAMS.name)
        ramdisk = build_ramdisk(pool)
        built = 0
        for info, is_new in zip(chosen, pool.map(lambda info: build_image(info, ramdisk, folder), chosen), strict=True):
            if is_new:
                built += 1
                print(f"guest {info.name}: {(folder / info.path.name).stat().st_size // 1024} KiB", flush=True)
        if programs is not None and programs.result():
            print(f"programs for debian: {(folder / PROGRAMS.name).stat().st_size // 1024} KiB", flush=True)
    print(f"guests: {built} built, {len(chosen) - built} up to date")


def main() -> int:
    """Run the command line; the exit status is 0, or 2 for a build that failed."""
    parser = argparse.ArgumentParser("hartvisor.guest.build", description="Build the guests that ship with Hartvisor.")
    parser.add_argument("names", nargs="*", metavar="NAME", help="guests to build (default: all)")
    parser.add_argument("--out", type=Path, default=IMAGES, metavar="DIR", help="where the ELF files go")
    options = parser.parse_args()
    try:
        build(options.names, options.out.resolve())
    except BuildError as error:
        print(f"guest build: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
