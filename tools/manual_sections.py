"""The headings of the RISC-V manuals that our tables cite, as tests/isa/manual_sections.txt has them: with these a test
finds a section that does not exist.

    python -m tools.manual_sections RISCV-ISA-MANUAL RISCV-SBI-DOC > tests/isa/manual_sections.txt

The arguments are git repositories, bare ones too. Headings of the hypervisor chapter begin with "H: ", those of the SBI
specification with "SBI: ".
"""

from __future__ import annotations

import re
import subprocess
import sys

PRIVILEGED = ("csrs", "machine", "supervisor", "hypervisor", "smstateen", "sstc", "svinval", "svadu")
SBI = ("base", "legacy", "time", "ipi", "rfence", "hsm", "sys-reset", "pmu", "debug-console", "sys-suspend",
       "firmware-features")


def git(repository: str, *arguments: str) -> str:
    """What git prints."""
    command = ["git", "-C", repository, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def headings(repository: str, path: str, prefix: str = "") -> list[str]:
    """A chapter's headings, as a reader sees them."""
    found = re.findall(r"^={2,6}[ ]+(\S.*)$", git(repository, "show", f"HEAD:{path}"), re.MULTILINE)
    return [prefix + clean(heading) for heading in found]


def clean(heading: str) -> str:
    """Without its markup."""
    heading = re.sub(r"(?:csr|insn):([\w.]+)\[\]", r"\1", heading).replace("`", "")
    heading = re.sub(r"ext:(\w+)\[\]", lambda match: match[1].capitalize(), heading)
    return re.sub(r"\s+", " ", heading).strip()


def main() -> None:
    """Print them all."""
    manual, sbi = sys.argv[1:]
    for name, repository in (("riscv-isa-manual", manual), ("riscv-sbi-doc", sbi)):
        print(f"# {name}, {git(repository, 'log', '-1', '--format=%h of %cs').strip()}")
    lines = headings(manual, "src/unpriv/cmo.adoc")
    for chapter in PRIVILEGED:
        lines += headings(manual, f"src/priv/{chapter}.adoc", "H: " if chapter == "hypervisor" else "")
    lines += headings(sbi, "src/binary-encoding.adoc", "SBI: ")
    for chapter in SBI:
        lines += headings(sbi, f"src/ext-{chapter}.adoc", "SBI: ")
    print("\n".join(sorted(set(lines))))


if __name__ == "__main__":
    main()
