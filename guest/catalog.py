"""The guests that ship: one row each, from which the build, `hartvisor images` and the tests all read."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from .debian import INITRD, KERNEL, debian_folder

GUEST = Path(__file__).resolve().parent
IMAGES = GUEST / "images"
PROGRAMS = IMAGES / "debian-programs.cpio"
"""What of ours lies in Debian's file system: kvmrun, which runs a VM there, and the guest in that VM."""

TERN_PROGRAMS = IMAGES / "tern"
"""tern's user programs as they were linked, for debuggers: its ramdisk holds them without symbols and debug data."""


@dataclass(frozen=True)
class ImageInfo:
    """A guest that ships with Hartvisor.

    `append` is the boot arguments it gets where the user gives none; `workload` those that make it do a fixed piece of
    work and power off, as comparisons and benchmarks want it. `powers_off` is false for the guests whose point is
    that they do not.
    """

    name: str
    description: str
    sources: tuple[str, ...]  # glob patterns below guest/, besides the runtime in lib/
    flags: tuple[str, ...] = ()  # for the compiler
    append: str = ""
    workload: str = ""
    powers_off: bool = True
    is_benchmark: bool = False  # in M-mode, at the start of RAM: the firmware of a bare machine

    @property
    def path(self) -> Path:
        """Where its ELF file lies once it is built."""
        return IMAGES / f"{self.name}.elf"

    @property
    def initrd(self) -> tuple[Path, ...]:
        """The files that follow each other in the initial ramdisk that goes with it."""
        return ()

    @property
    def how_to_get(self) -> str:
        """The command that makes it."""
        return "python -m hartvisor.guest.build"


class DebianInfo(ImageInfo):
    """Debian's kernel, which does not ship but is fetched."""

    @property
    def path(self) -> Path:
        """Where the kernel lies once it is fetched."""
        return debian_folder() / KERNEL

    @property
    def initrd(self) -> tuple[Path, ...]:
        """Its initramfs, and in a second archive our programs: the kernel unpacks one over the other."""
        return debian_folder() / INITRD, PROGRAMS

    @property
    def how_to_get(self) -> str:
        """The command that fetches it."""
        return "hartvisor images fetch debian"


KERNEL_SOURCES = ("kernel/*.[cS]",)
KERNEL_FLAGS = ("-Wframe-larger-than=1024",)  # a kernel stack is one page, and a trapframe lies at its top


FLOAT_FLAGS = ("-mcpu=generic_rv64+m+a+c+f+d+zicsr+zifencei",)  # the last -mcpu counts; arguments stay in x registers


def _tiny(name: str, description: str, flags: tuple[str, ...] = (), powers_off: bool = True) -> ImageInfo:
    return ImageInfo(name, description, (f"tiny/{name}.c", "tiny/runtime/*.[cS]"), flags, powers_off=powers_off)


CATALOG: tuple[ImageInfo, ...] = (
    ImageInfo(
        "kernel",
        "tern, the teaching kernel: processes, Sv39, pipes, a shell; boot argument `workload` makes it test itself",
        KERNEL_SOURCES,
        KERNEL_FLAGS,
        workload="workload",
    ),
    ImageInfo(
        "kernel-nofence",
        "tern built without a single sfence.vma: a bug that only some harts show",
        KERNEL_SOURCES,
        (*KERNEL_FLAGS, "-DNO_FENCES"),
        workload="workload",
    ),
    _tiny("hello", "prints one line and powers off"),
    _tiny("csr-tour", "reads every supervisor CSR, tries to write all its bits, prints what stuck"),
    _tiny("illegal", "executes what S-mode may not, and prints each trap's cause and value"),
    _tiny("user-mode", "drops to U-mode without paging and comes back by ecall"),
    _tiny("bare-paging", "turns Sv39 on and off while it runs"),
    _tiny("sum-mxr", "checks what SUM and MXR allow, page by page"),
    _tiny("churn", "changes page tables all the time: new pages, permissions, aliases, roots"),
    _tiny("atomics", "LR/SC and AMOs: results, lost reservations, misaligned addresses"),
    _tiny("float", "the states of sstatus.FS, rounding modes, a checksum of much arithmetic", FLOAT_FLAGS),
    _tiny("selfmod", "rewrites its own instructions, with fence.i in between"),
    _tiny("ticks", "counts ten timer interrupts, asleep in between"),
    _tiny("mmio", "drives the UART by polling and by interrupts through the PLIC; powers off by the test finisher"),
    _tiny("trapstorm", "nothing but exits: 100,000 SBI calls or, with `csr`, CSR writes; `count=N` for another number"),
    _tiny("exits", "a few exits of every kind"),
    _tiny("badvec", "its trap vector faults, for ever", powers_off=False),
    _tiny("spin", "loops with interrupts off", powers_off=False),
    _tiny("sleep", "waits in WFI for an interrupt that nobody will send", powers_off=False),
    _tiny("jumpnowhere", "jumps to where nothing is, with no trap vector set", powers_off=False),
)


def _bench(name: str, description: str, source: str = "", flags: tuple[str, ...] = ()) -> ImageInfo:
    sources = (f"bench/{source or name}.c", "bench/runtime/*.[cS]", "lib/string.c")
    return ImageInfo(f"bench-{name}", description, sources, flags, is_benchmark=True)


BENCHMARKS: tuple[ImageInfo, ...] = (
    _bench("integer", "lists, a matrix, a state machine and CRCs, in the manner of CoreMark"),
    _bench("dhrystone", "records, strings and small functions, as Dhrystone has them"),
    _bench("memory", "a chase of pointers, a sieve, copies"),
    _bench("memory-chase", "a chase of pointers beyond the reach of the translation caches", "memory", ("-DPARTS=1",)),
    _bench("memory-sieve", "a sieve", "memory", ("-DPARTS=2",)),
    _bench("memory-copy", "copies", "memory", ("-DPARTS=4",)),
    _bench("float", "double precision: matrices, planets", flags=FLOAT_FLAGS),
    _bench("sv39", "pages at random in S-mode, under Sv39", "paging"),
    _bench("two-stage", "pages at random in VS-mode, under Sv39 and Sv39x4", "paging", ("-DTWO_STAGE",)),
    _bench("traps", "ecalls from U-mode to M-mode and back, and CSR instructions"),
)
"""What `hartvisor bench` runs, here and on QEMU."""

DEBIAN = DebianInfo(
    "debian",
    "Debian's Linux 6.12 and busybox, unmodified; not shipped but fetched: hartvisor images fetch debian",
    sources=(),
    append="console=ttyS0 cryptomgr.notests",
    powers_off=False,
)

FETCHED: tuple[ImageInfo, ...] = (DEBIAN,)
"""Images by other people, which do not ship."""
