"""The calls of the SBI by name, with their arguments: what sbi.py serves, in the words of the specification, 3.0."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from . import sbi_numbers as sbi


@dataclass(frozen=True)
class SbiCall:
    """A function. name: without its sbi_. arguments: the names of those in a0 and on. section: of the specification."""

    name: str
    arguments: tuple[str, ...]
    section: str


_HARTS: Final = ("hart_mask", "hart_mask_base")
_COUNTERS: Final = ("counter_idx_base", "counter_idx_mask")
_SHARED: Final = ("shmem_phys_lo", "shmem_phys_hi")
_CONSOLE: Final = ("num_bytes", "base_addr_lo", "base_addr_hi")

_EXTENSIONS: Final[dict[int, tuple[str, tuple[tuple[str, tuple[str, ...]], ...]]]] = {
    sbi.BASE: ("Base Extension (EID #0x10)", (
        ("get_spec_version", ()), ("get_impl_id", ()), ("get_impl_version", ()),
        ("probe_extension", ("extension_id",)), ("get_mvendorid", ()), ("get_marchid", ()), ("get_mimpid", ()))),
    sbi.TIME: ('Timer Extension (EID #0x54494D45 "TIME")', (("set_timer", ("stime_value",)),)),
    sbi.IPI: ('IPI Extension (EID #0x735049 "sPI: s-mode IPI")', (("send_ipi", _HARTS),)),
    sbi.RFENCE: ('RFENCE Extension (EID #0x52464E43 "RFNC")', (
        ("remote_fence_i", _HARTS), ("remote_sfence_vma", (*_HARTS, "start_addr", "size")),
        ("remote_sfence_vma_asid", (*_HARTS, "start_addr", "size", "asid")))),
    sbi.HSM: ('Hart State Management Extension (EID #0x48534D "HSM")', (
        ("hart_start", ("hartid", "start_addr", "opaque")), ("hart_stop", ()), ("hart_get_status", ("hartid",)),
        ("hart_suspend", ("suspend_type", "resume_addr", "opaque")))),
    sbi.SUSP: ('System Suspend Extension (EID #0x53555350 "SUSP")', (
        ("system_suspend", ("sleep_type", "resume_addr", "opaque")),)),
    sbi.PMU: ('Performance Monitoring Unit Extension (EID #0x504D55 "PMU")', (
        ("pmu_num_counters", ()), ("pmu_counter_get_info", ("counter_idx",)),
        ("pmu_counter_config_matching", (*_COUNTERS, "config_flags", "event_idx", "event_data")),
        ("pmu_counter_start", (*_COUNTERS, "start_flags", "initial_value")),
        ("pmu_counter_stop", (*_COUNTERS, "stop_flags")), ("pmu_counter_fw_read", ("counter_idx",)),
        ("pmu_counter_fw_read_hi", ("counter_idx",)), ("pmu_snapshot_set_shmem", (*_SHARED, "flags")),
        ("pmu_event_get_info", (*_SHARED, "num_entries", "flags")))),
    sbi.FWFT: ('SBI Firmware Features Extension (EID #0x46574654 "FWFT")', (
        ("fwft_set", ("feature", "value", "flags")), ("fwft_get", ("feature",)))),
    sbi.SRST: ('System Reset Extension (EID #0x53525354 "SRST")', (("system_reset", ("reset_type", "reset_reason")),)),
    sbi.DBCN: ('Debug Console Extension (EID #0x4442434E "DBCN")', (
        ("debug_console_write", _CONSOLE), ("debug_console_read", _CONSOLE), ("debug_console_write_byte", ("byte",)))),
}
"""By extension id: its chapter, and its functions from 0 on."""

_LEGACY: Final[dict[int, tuple[str, tuple[str, ...]]]] = {
    sbi.LEGACY_SET_TIMER: ("set_timer", ("stime_value",)),
    sbi.LEGACY_CONSOLE_PUTCHAR: ("console_putchar", ("ch",)),
    sbi.LEGACY_CONSOLE_GETCHAR: ("console_getchar", ()),
    sbi.LEGACY_CLEAR_IPI: ("clear_ipi", ()),
    sbi.LEGACY_SEND_IPI: ("send_ipi", ("hart_mask",)),
    sbi.LEGACY_REMOTE_FENCE_I: ("remote_fence_i", ("hart_mask",)),
    sbi.LEGACY_REMOTE_SFENCE_VMA: ("remote_sfence_vma", ("hart_mask", "start", "size")),
    sbi.LEGACY_REMOTE_SFENCE_VMA_ASID: ("remote_sfence_vma_asid", ("hart_mask", "start", "size", "asid")),
    sbi.LEGACY_SHUTDOWN: ("shutdown", ()),
}

_LEGACY_CHAPTER: Final = "Legacy Extensions (EIDs #0x00 - #0x0F)"
_ENCODING: Final = "Binary Encoding"

ERRORS: Final = {
    sbi.SUCCESS: "SBI_SUCCESS", sbi.ERR_FAILED: "SBI_ERR_FAILED", sbi.ERR_NOT_SUPPORTED: "SBI_ERR_NOT_SUPPORTED",
    sbi.ERR_INVALID_PARAM: "SBI_ERR_INVALID_PARAM", sbi.ERR_DENIED: "SBI_ERR_DENIED",
    sbi.ERR_INVALID_ADDRESS: "SBI_ERR_INVALID_ADDRESS", sbi.ERR_ALREADY_AVAILABLE: "SBI_ERR_ALREADY_AVAILABLE",
    sbi.ERR_ALREADY_STARTED: "SBI_ERR_ALREADY_STARTED", sbi.ERR_ALREADY_STOPPED: "SBI_ERR_ALREADY_STOPPED",
    sbi.ERR_NO_SHMEM: "SBI_ERR_NO_SHMEM", sbi.ERR_DENIED_LOCKED: "SBI_ERR_DENIED_LOCKED"}
"""What a0 says of how a call went, as a signed number; not for the legacy calls."""


def is_legacy(extension: int) -> bool:
    """Whether a7 alone says what is called, and a0 alone answers."""
    return extension in _LEGACY


def call_of(extension: int, function: int) -> SbiCall:
    """The call that a7 and a6 name; one that nobody serves too."""
    if extension in _LEGACY:
        name, arguments = _LEGACY[extension]
        return SbiCall(f"legacy {name}", arguments, f"SBI: {_LEGACY_CHAPTER}")
    chapter, functions = _EXTENSIONS.get(extension, ("", ()))
    if 0 <= function < len(functions):
        name, arguments = functions[function]
        return SbiCall(name, arguments, f"SBI: {chapter}")
    if chapter:
        return SbiCall(f"function {function:#x} of an extension that has none such", (), f"SBI: {chapter}")
    return SbiCall(f"extension {extension:#x}, which is not served", (), f"SBI: {_ENCODING}")
