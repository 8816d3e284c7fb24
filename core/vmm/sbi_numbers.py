"""Numbers of the Supervisor Binary Interface, version 3.0: extension ids, errors, types, flags and events (RISC-V SBI
specification)."""

from __future__ import annotations

from typing import Final

SPEC_VERSION: Final = 3 << 24
"""3.0: major number in bits 30:24, minor below."""

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
PMU: Final = 0x504D55
SUSP: Final = 0x53555350
FWFT: Final = 0x46574654

SUCCESS: Final = 0
ERR_FAILED: Final = -1
ERR_NOT_SUPPORTED: Final = -2
ERR_INVALID_PARAM: Final = -3
ERR_DENIED: Final = -4
ERR_INVALID_ADDRESS: Final = -5
ERR_ALREADY_AVAILABLE: Final = -6
ERR_ALREADY_STARTED: Final = -7
ERR_ALREADY_STOPPED: Final = -8
ERR_NO_SHMEM: Final = -9
ERR_DENIED_LOCKED: Final = -14

RESET_SHUTDOWN: Final = 0
RESET_COLD_REBOOT: Final = 1
RESET_WARM_REBOOT: Final = 2
RESET_NO_REASON: Final = 0
RESET_SYSTEM_FAILURE: Final = 1

HART_STARTED: Final = 0
HART_STOPPED: Final = 1
HART_SUSPENDED: Final = 4
HART_RESUME_PENDING: Final = 6

SUSPEND_RETENTIVE: Final = 0
SUSPEND_NON_RETENTIVE: Final = 0x8000_0000
SUSPEND_TO_RAM: Final = 0
"""The one sleep type of a whole system (SUSP)."""

EVERY_HART: Final = (1 << 64) - 1
"""hart_mask_base that means all harts."""

# PMU: event_idx has the type in bits 19:16 and the code below.
EVENT_TYPE_SHIFT: Final = 16
EVENT_INDEX_BITS: Final = 20
EVENT_GENERAL, EVENT_CACHE, EVENT_RAW, EVENT_RAW_V2, EVENT_FIRMWARE = 0, 1, 2, 3, 15
"""Types of events."""
CPU_CYCLES, INSTRUCTIONS = 1, 2
"""Codes of general events that the hart counts."""

FW_SET_TIMER: Final = 5
FW_IPI_SENT: Final = 6
FW_FENCE_I_SENT: Final = 8
FW_SFENCE_VMA_SENT: Final = 10
FW_SFENCE_VMA_ASID_SENT: Final = 12
"""Codes of firmware events; the code after each of those sent to another hart is that of what this hart received."""
FW_CALL: Final = 256
"""Our own, the first that implementations may define: every SBI call."""

FIRMWARE_EVENTS: Final = frozenset((*range(FW_SET_TIMER, FW_SFENCE_VMA_ASID_SENT + 2), FW_CALL))
"""Those that happen here: misaligned, faulting and illegal instructions trap to the guest, not to its firmware."""

CONFIG_SKIP_MATCH, CONFIG_CLEAR_VALUE, CONFIG_AUTO_START = 1, 2, 4
CONFIG_FLAGS: Final = 0xFF
"""Those that are defined; the other five ask for modes not to be counted, hints that need not be taken."""
START_SET_VALUE, START_FROM_SNAPSHOT = 1, 2
STOP_RESET, STOP_TAKE_SNAPSHOT = 1, 2
NO_MEMORY: Final = (1 << 64) - 1
"""Both halves of the address that means no shared memory."""
FIRMWARE_COUNTER: Final = 1 << 63
"""In a counter's info: no CSR shows it."""

# FWFT: features, all of them local to a hart.
MISALIGNED_EXC_DELEG, LANDING_PAD, SHADOW_STACK, DOUBLE_TRAP, PTE_AD_HW_UPDATING, POINTER_MASKING_PMLEN = range(6)
FEATURE_LOCK: Final = 1
