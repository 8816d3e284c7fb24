"""Numbers of the Supervisor Binary Interface, version 2.0: extension ids, errors, reset types (RISC-V SBI
specification)."""

from __future__ import annotations

from typing import Final

SPEC_VERSION: Final = 2 << 24
"""2.0: major number in bits 30:24, minor below."""

IMPLEMENTATION_ID: Final = 0x48415254
"""Not among the registered ones ("HART" in ASCII): no quirks to look for."""

IMPLEMENTATION_VERSION: Final = 1

# Legacy extensions: one function each, a6 ignored, only a0 returned.
LEGACY_SET_TIMER: Final = 0x00
LEGACY_CONSOLE_PUTCHAR: Final = 0x01
LEGACY_CONSOLE_GETCHAR: Final = 0x02
LEGACY_CLEAR_IPI: Final = 0x03
LEGACY_SEND_IPI: Final = 0x04
LEGACY_REMOTE_FENCE_I: Final = 0x05
LEGACY_REMOTE_SFENCE_VMA: Final = 0x06
LEGACY_REMOTE_SFENCE_VMA_ASID: Final = 0x07
LEGACY_SHUTDOWN: Final = 0x08

BASE: Final = 0x10
TIME: Final = 0x54494D45
IPI: Final = 0x735049
RFENCE: Final = 0x52464E43
HSM: Final = 0x48534D
SRST: Final = 0x53525354
DBCN: Final = 0x4442434E

SUCCESS: Final = 0
ERR_FAILED: Final = -1
ERR_NOT_SUPPORTED: Final = -2
ERR_INVALID_PARAM: Final = -3
ERR_DENIED: Final = -4
ERR_INVALID_ADDRESS: Final = -5
ERR_ALREADY_AVAILABLE: Final = -6

RESET_SHUTDOWN: Final = 0
RESET_COLD_REBOOT: Final = 1
RESET_WARM_REBOOT: Final = 2
RESET_NO_REASON: Final = 0
RESET_SYSTEM_FAILURE: Final = 1

HART_STARTED: Final = 0
HART_STOPPED: Final = 1
HART_SUSPENDED: Final = 4

SUSPEND_RETENTIVE: Final = 0
SUSPEND_NON_RETENTIVE: Final = 0x8000_0000

EVERY_HART: Final = (1 << 64) - 1
"""hart_mask_base that means all harts."""
