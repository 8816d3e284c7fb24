"""Where a check failed: on the terminal, or in the TUI."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from ...core.devices.console import discard
from ...core.errors import ConfigError
from ...core.isa.disassembler import disassemble
from ...core.isa.registers import ABI
from ...core.vmm.csr_file import CSR_NAMES
from ...core.vmm.recording import Replay, read_recording
from ...labs.judge.verdict import CheckResult, Divergence
from .tui import tui

REGISTERS_A_LINE = 4


def _recording(check: CheckResult) -> tuple[Path, Divergence]:
    assert check.first_divergence is not None
    if check.replay is None:
        raise ConfigError(f"{check.name}: {check.first_divergence}; no guest runs here to be looked at")
    return Path(check.replay), check.first_divergence


def replay_failure(check: CheckResult) -> None:
    """Open the recording in the TUI, before the instruction that went wrong."""
    path, found = _recording(check)
    tui(names=[str(path)], goto=found.step)


def explain_failure(check: CheckResult, console: Console) -> None:
    """Run the recording to the divergence, and show what was right up to there, and what then went wrong."""
    found = check.first_divergence
    assert found is not None
    console.print(f"[bold]{check.name}[/bold]: {check.message}", markup=True)
    if check.replay is None:
        console.print(f"{found.line or found}\n  {found.field}: got {found.got}, wanted {found.wanted}")
        return
    path, found = _recording(check)
    again = Replay(read_recording(path), discard)
    again.run(found.step)
    vcpu = again.vm.current
    hart = vcpu.hart
    console.print(f"step {found.step:,}, {'S' if vcpu.mode else 'U'}-mode: the state before the instruction is right")
    pairs = [f"{ABI[index]:>4} {value:#018x}" for index, value in enumerate(hart.read_gprs())]
    for first in range(0, len(pairs), REGISTERS_A_LINE):
        console.print("  ".join(pairs[first : first + REGISTERS_A_LINE]), markup=False)
    csrs = [f"{name:>10} {vcpu.csrs.read(number):#018x}" for number, name in sorted(CSR_NAMES.items())]
    for first in range(0, len(csrs), 3):
        console.print("  ".join(csrs[first : first + 3]), markup=False)
    text = disassemble(hart.fetch_insn(), found.pc)
    console.print(f"\n{found.pc:#x}  {text}" + (f"    {found.line}" if found.line else ""), markup=False)
    console.print(f"then {found.field} is {found.got}, not {found.wanted}", markup=False)
    console.print(f"\nstep around in it: hartvisor tui {path} --goto {found.step}", markup=False)
