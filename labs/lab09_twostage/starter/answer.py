"""Lab 9: the hypervisor extension. Fill in what raises NotImplementedError; the handout says what each must do."""

from __future__ import annotations

from hartvisor.labs.kit.paging import Verdict
from hartvisor.labs.kit.two_stage import Found, GuestFault, Host, Ram, View, World


class TwoStage:
    """A hypervisor's part in two-stage translation."""

    def use(self, host: Host, vmid: int) -> None:
        """Called once, before root and switch: the machine below, and the guest's VMID."""
        self.host = host
        self.vmid = vmid

    def two_stage_translate(self, view: View, gva: int, access: int, as_code: bool, ram: Ram) -> Found:
        """What a hart makes of an access of the guest's (FETCH, LOAD, STORE); as_code: of a load by hlvx."""
        raise NotImplementedError

    def hlv(self, view: View, gva: int, size: int, is_signed: bool, ram: Ram) -> int | Found:
        """hlv: what is then in the register, 64 bits, or what came of it."""
        raise NotImplementedError

    def hlvx(self, view: View, gva: int, size: int, ram: Ram) -> int | Found:
        """hlvx."""
        raise NotImplementedError

    def hsv(self, view: View, gva: int, size: int, value: int, ram: Ram) -> Found | None:
        """hsv: store to `ram`, and None; or what came of it, and nothing stored."""
        raise NotImplementedError

    def root(self) -> int:
        """Called once: the hpa of your second stage's root."""
        raise NotImplementedError

    def on_guest_fault(self, fault: GuestFault) -> Verdict:
        """A guest-page fault: "mapped", and it is; "device", with its gpa; or "guest", with the cause it gets."""
        raise NotImplementedError

    def unmap(self, gpa: int) -> None:
        """The page's frame is about to be taken away: nothing may lead there any more."""
        raise NotImplementedError

    def switch(self, leaving: World, entering: World) -> None:
        """Keep in `leaving` what the hart has of the one guest, and give the hart what `entering` has of the other."""
        raise NotImplementedError
