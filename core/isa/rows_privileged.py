"""The privileged instructions and who may execute them (privileged manual; "H: ..." is its hypervisor chapter)."""

from __future__ import annotations

from .causes import (
    BREAKPOINT,
    ECALL_FROM_M,
    ECALL_FROM_S,
    ECALL_FROM_U,
    ECALL_FROM_VS,
    ILLEGAL_INSTRUCTION,
    VIRTUAL_INSTRUCTION,
)
from .formats import HLV, HSV, NONE
from .row import ANY_MODE, Instruction, Privilege, TrapRule

_EXACT = 0xFFFFFFFF
_RS1_RS2 = 0xFE007FFF
_RD_RS1 = 0xFFF0707F

_ECALL = Privilege((), (
    TrapRule("M", "", ECALL_FROM_M),
    TrapRule("HS", "", ECALL_FROM_S),
    TrapRule("U", "", ECALL_FROM_U),
    TrapRule("VS", "", ECALL_FROM_VS),
    TrapRule("VU", "", ECALL_FROM_U),
), "Environment Call and Breakpoint")

_EBREAK = Privilege((), tuple(TrapRule(mode, "", BREAKPOINT) for mode in ANY_MODE), "Environment Call and Breakpoint")

_SRET = Privilege(("M", "HS", "VS"), (
    TrapRule("HS", "mstatus.TSR=1", ILLEGAL_INSTRUCTION),
    TrapRule("VS", "hstatus.VTSR=1", VIRTUAL_INSTRUCTION),
    TrapRule("VU", "", VIRTUAL_INSTRUCTION),
), "Trap-Return Instructions; H: Trap Cause Codes")

_MRET = Privilege(("M",), (), "Trap-Return Instructions")

# mstatus.TW and hstatus.VTW allow a bounded wait; ours is no wait at all, except that a wake-up already pending lets
# S-mode's WFI retire.
_WFI = Privilege(("M", "HS", "VS"), (
    TrapRule("HS", "mstatus.TW=1", ILLEGAL_INSTRUCTION),
    TrapRule("U", "", ILLEGAL_INSTRUCTION),
    TrapRule("VS", "mstatus.TW=1", ILLEGAL_INSTRUCTION),
    TrapRule("VS", "hstatus.VTW=1 and mstatus.TW=0", VIRTUAL_INSTRUCTION),
    TrapRule("VU", "mstatus.TW=1", ILLEGAL_INSTRUCTION),
    TrapRule("VU", "mstatus.TW=0", VIRTUAL_INSTRUCTION),
), "Wait for Interrupt; H: Trap Cause Codes")

_SFENCE = Privilege(("M", "HS", "VS"), (
    TrapRule("HS", "mstatus.TVM=1", ILLEGAL_INSTRUCTION),
    TrapRule("VS", "hstatus.VTVM=1", VIRTUAL_INSTRUCTION),
    TrapRule("VU", "", VIRTUAL_INSTRUCTION),
), "Supervisor Memory-Management Fence Instruction; H: Trap Cause Codes")

_ORDER = Privilege(("M", "HS", "VS"), (TrapRule("VU", "", VIRTUAL_INSTRUCTION),),
                   "Svinval Extension for Fine-Grained Address-Translation Cache Invalidation")

_VIRTUAL_WHEN_V = (TrapRule("VS", "", VIRTUAL_INSTRUCTION), TrapRule("VU", "", VIRTUAL_INSTRUCTION))

_HFENCE_VVMA = Privilege(("M", "HS"), _VIRTUAL_WHEN_V, "H: Hypervisor Memory-Management Fence Instructions")

_HFENCE_GVMA = Privilege(
    ("M", "HS"), (TrapRule("HS", "mstatus.TVM=1", ILLEGAL_INSTRUCTION), *_VIRTUAL_WHEN_V),
    "H: Hypervisor Memory-Management Fence Instructions")

_GUEST_ACCESS = Privilege(
    ("M", "HS", "U"), (TrapRule("U", "hstatus.HU=0", ILLEGAL_INSTRUCTION), *_VIRTUAL_WHEN_V),
    "H: Hypervisor Virtual-Machine Load and Store Instructions")

_LOAD = "rd, (rs1)"
_STORE = "rs2, (rs1)"
_FENCE = "rs1, rs2"

PRIVILEGED_ROWS: tuple[Instruction, ...] = (
    Instruction("ecall", NONE, 0x00000073, _EXACT, "I", "", _ECALL),
    Instruction("ebreak", NONE, 0x00100073, _EXACT, "I", "", _EBREAK),
    Instruction("sret", NONE, 0x10200073, _EXACT, "S", "", _SRET),
    Instruction("mret", NONE, 0x30200073, _EXACT, "", "", _MRET),
    Instruction("wfi", NONE, 0x10500073, _EXACT, "", "", _WFI),
    Instruction("sfence.vma", HSV, 0x12000073, _RS1_RS2, "S", _FENCE, _SFENCE),
    Instruction("hfence.vvma", HSV, 0x22000073, _RS1_RS2, "H", _FENCE, _HFENCE_VVMA),
    Instruction("hfence.gvma", HSV, 0x62000073, _RS1_RS2, "H", _FENCE, _HFENCE_GVMA),
    Instruction("sinval.vma", HSV, 0x16000073, _RS1_RS2, "Svinval", _FENCE, _SFENCE, expands="sfence.vma"),
    Instruction("sfence.w.inval", NONE, 0x18000073, _EXACT, "Svinval", "", _ORDER),
    Instruction("sfence.inval.ir", NONE, 0x18100073, _EXACT, "Svinval", "", _ORDER, expands="sfence.w.inval"),
    Instruction("hinval.vvma", HSV, 0x26000073, _RS1_RS2, "Svinval", _FENCE, _HFENCE_VVMA, expands="hfence.vvma"),
    Instruction("hinval.gvma", HSV, 0x66000073, _RS1_RS2, "Svinval", _FENCE, _HFENCE_GVMA, expands="hfence.gvma"),
    Instruction("hlv.b", HLV, 0x60004073, _RD_RS1, "H", _LOAD, _GUEST_ACCESS),
    Instruction("hlv.bu", HLV, 0x60104073, _RD_RS1, "H", _LOAD, _GUEST_ACCESS),
    Instruction("hlv.h", HLV, 0x64004073, _RD_RS1, "H", _LOAD, _GUEST_ACCESS),
    Instruction("hlv.hu", HLV, 0x64104073, _RD_RS1, "H", _LOAD, _GUEST_ACCESS),
    Instruction("hlv.w", HLV, 0x68004073, _RD_RS1, "H", _LOAD, _GUEST_ACCESS),
    Instruction("hlv.wu", HLV, 0x68104073, _RD_RS1, "H", _LOAD, _GUEST_ACCESS),
    Instruction("hlv.d", HLV, 0x6C004073, _RD_RS1, "H", _LOAD, _GUEST_ACCESS),
    Instruction("hlvx.hu", HLV, 0x64304073, _RD_RS1, "H", _LOAD, _GUEST_ACCESS),
    Instruction("hlvx.wu", HLV, 0x68304073, _RD_RS1, "H", _LOAD, _GUEST_ACCESS),
    Instruction("hsv.b", HSV, 0x62004073, _RS1_RS2, "H", _STORE, _GUEST_ACCESS),
    Instruction("hsv.h", HSV, 0x66004073, _RS1_RS2, "H", _STORE, _GUEST_ACCESS),
    Instruction("hsv.w", HSV, 0x6A004073, _RS1_RS2, "H", _STORE, _GUEST_ACCESS),
    Instruction("hsv.d", HSV, 0x6E004073, _RS1_RS2, "H", _STORE, _GUEST_ACCESS),
)
