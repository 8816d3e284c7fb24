"""Install the independent programs that tests compare Hartvisor with, on Debian and its kin (`make oracles`)."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

PACKAGES = {
    "qemu-system-riscv64": "qemu-system-misc",
    "riscv64-linux-gnu-as": "binutils-riscv64-linux-gnu",
    "riscv64-linux-gnu-objdump": "binutils-riscv64-linux-gnu",
    "gdb-multiarch": "gdb-multiarch",
}
"""Program name to the Debian package that holds it."""


def missing_programs() -> list[str]:
    """The names in `PACKAGES` that are not on PATH."""
    return [name for name in PACKAGES if shutil.which(name) is None]


def main() -> int:
    """Install what is missing; return the exit status, 1 with one clear line where that cannot be done."""
    missing = missing_programs()
    if not missing:
        print("oracles: all present:", ", ".join(PACKAGES))
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
    installed = subprocess.run(command, check=False)
    still_missing = missing_programs()
    if installed.returncode != 0 or still_missing:
        return _fail(f"apt-get could not install {', '.join(packages)}; see its message above, then {by_hand}")
    return 0


def _fail(reason: str) -> int:
    print(f"oracles: {reason}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
