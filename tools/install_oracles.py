"""Install the independent programs that tests compare Hartvisor with, on Debian and its kin (`make oracles`)."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

if __package__ in (None, ""):  # run as a script, as make does
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from guest.apt import AptError
from tools import trixie_oracles

PACKAGES = {
    "qemu-system-riscv64": "qemu-system-misc",
    "riscv64-linux-gnu-as": "binutils-riscv64-linux-gnu",
    "riscv64-linux-gnu-objdump": "binutils-riscv64-linux-gnu",
    "gdb-multiarch": "gdb-multiarch",
    "tmux": "tmux",
    "chromium": "chromium",
    "chromedriver": "chromium-driver",
    "tshark": "tshark",
}
"""Program name to the Debian package that holds it, for what the system itself is asked to install."""


def find_program(name: str) -> str | None:
    """The path of an oracle, by its name here; None where it is not installed."""
    return trixie_oracles.find(name) if name in trixie_oracles.PROGRAMS else shutil.which(name)


def missing_programs() -> list[str]:
    """The oracles that are not installed."""
    return [name for name in (*PACKAGES, *trixie_oracles.PROGRAMS) if find_program(name) is None]


def main() -> int:
    """Install what is missing; return the exit status, 1 with one clear line where that cannot be done."""
    if not missing_programs():
        print("oracles: all present:", ", ".join((*PACKAGES, *trixie_oracles.PROGRAMS)))
        return 0
    return _install_packages() or _install_privately()


def _install_privately() -> int:
    """Newer programs than the system's, in a folder of their own."""
    if trixie_oracles.missing():
        try:
            trixie_oracles.install()
        except AptError as error:
            return _fail(str(error))
    return 0


def _install_packages() -> int:
    """What the system's own packages hold, which root must install."""
    missing = [name for name in PACKAGES if find_program(name) is None]
    if not missing:
        return 0
    lacking = f"{', '.join(missing)} missing"
    packages = sorted({PACKAGES[name] for name in missing})
    command = ["apt-get", "install", "--yes", "--no-install-recommends", *packages]
    by_hand = f"as root: {' '.join(command)}"
    if shutil.which("apt-get") is None:
        return _fail(f"{lacking}, and there is no apt-get here; install what your system calls {', '.join(packages)}")
    if os.geteuid() != 0:
        if shutil.which("sudo") is None:
            return _fail(f"{lacking}, and this user is neither root nor has sudo; {by_hand}")
        command.insert(0, "sudo")
    print("oracles: installing", ", ".join(packages), flush=True)
    update = [*command[: command.index("apt-get") + 1], "update"]
    # A machine that never ran `apt-get update` has no package lists; one that did may still install if this fails.
    subprocess.run(update, check=False)
    # No package's questions: tshark asks who may capture, and nobody need.
    installed = subprocess.run(command, env=os.environ | {"DEBIAN_FRONTEND": "noninteractive"}, check=False)
    still_missing = [name for name in missing if find_program(name) is None]
    if installed.returncode != 0 or still_missing:
        return _fail(f"apt-get could not install {', '.join(packages)}; see its message above, then {by_hand}")
    return 0


def _fail(reason: str) -> int:
    print(f"oracles: {reason}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
