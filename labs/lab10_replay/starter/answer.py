"""Lab 10: record and replay. Fill in what raises NotImplementedError; the handout says what each must do."""

from __future__ import annotations

from hartvisor.labs.kit.replay import GuestEvent, ReplayMachine


class Recorder:
    """Decides what of a run must be written down. It sees the run once, in order, and never its replay."""

    def log_event(self, event: GuestEvent) -> bytes:
        """What the log gets for this event, in a format of yours; b"" where the guest will do the same without."""
        raise NotImplementedError


class Player:
    """Runs a recorded guest again, to any step, forwards or backwards. It never saw the run, only the log."""

    def use(self, machine: ReplayMachine, log: bytes) -> None:
        """Called once, before anything else: the guest before its first step, and all that log_event gave, joined."""
        self.machine = machine
        self.log = log

    def replay(self, step: int) -> None:
        """Be where the guest was when it had taken `step` steps, what was typed then included; from wherever you are.
        `step` is never beyond the recorded run's last."""
        raise NotImplementedError

    def reverse_step(self) -> None:
        """Be one step before where you are; at step 0 stay."""
        raise NotImplementedError
