"""Fields that several CSRs share, so that each is described once."""

from __future__ import annotations

from . import causes
from .csr import Csr, Field, structured

UXL_64 = 2
"""The value of MXL, SXL, UXL, VSXL for 64-bit registers."""


def status_fields(machine: bool) -> tuple[Field, ...]:
    """The fields of sstatus and vsstatus, and for `machine` those of mstatus, from bit 0 up.

    VS and XS are read-only zero while there is no vector unit, the endianness bits because this hart is little-endian
    only; SXL and UXL are read-only because it is 64-bit only. FS is writable without F too, as the manual allows: so a
    guest whose hypervisor hides F by its own FS finds what it would find on a hart without. SD follows from FS.
    """
    fields = [
        Field("SIE", 1, 1, "S-mode takes interrupts", True),
        Field("MIE", 3, 3, "M-mode takes interrupts", True),
        Field("SPIE", 5, 5, "SIE before the trap into S-mode", True),
        Field("UBE", 6, 6, "U-mode data is big-endian"),
        Field("MPIE", 7, 7, "MIE before the trap into M-mode", True),
        Field("SPP", 8, 8, "mode before the trap into S-mode: 0 user, 1 supervisor", True),
        Field("VS", 10, 9, "vector unit state: off, initial, clean, dirty"),
        Field("MPP", 12, 11, "mode before the trap into M-mode: 0 user, 1 supervisor, 3 machine", True),
        Field("FS", 14, 13, "floating-point unit state: off, initial, clean, dirty", True),
        Field("XS", 16, 15, "state of other user extensions"),
        Field("MPRV", 17, 17, "loads and stores act with the privilege of MPP", True),
        Field("SUM", 18, 18, "S-mode may load and store user pages", True),
        Field("MXR", 19, 19, "loads may read executable pages", True),
        Field("TVM", 20, 20, "satp, sfence.vma, hgatp and hfence.gvma trap in S-mode", True),
        Field("TW", 21, 21, "wfi traps below M-mode", True),
        Field("TSR", 22, 22, "sret traps in S-mode", True),
        Field("UXL", 33, 32, "width of registers in U-mode: 2 is 64 bits"),
        Field("SXL", 35, 34, "width of registers in S-mode: 2 is 64 bits"),
        Field("SBE", 36, 36, "S-mode data is big-endian"),
        Field("MBE", 37, 37, "M-mode data is big-endian"),
        Field("GVA", 38, 38, "mtval holds a guest virtual address", True, "H"),
        Field("MPV", 39, 39, "virtualization mode before the trap into M-mode", True, "H"),
        Field("SD", 63, 63, "FS, VS or XS is dirty"),
    ]
    machine_only = {"MIE", "MPIE", "MPP", "MPRV", "TVM", "TW", "TSR", "SXL", "SBE", "MBE", "GVA", "MPV"}
    return tuple(field for field in fields if machine or field.name not in machine_only)


def interrupt_fields(suffix: str, present: int, writable: int) -> tuple[Field, ...]:
    """One field for each interrupt whose bit is in `present`, named as in xie (suffix "E") or xip (suffix "P").

    The VS-level interrupts and SGEI belong to the hypervisor extension, LCOFI to Sscofpmf. Guest external interrupts
    come from an IMSIC only: without Ssaia, SGEI is never enabled.
    """
    state = "enabled" if suffix == "E" else "pending"
    h_bits = causes.HIDELEG_MASK | causes.bits(causes.SGEI)
    return tuple(
        Field(cause.name + suffix, cause.number, cause.number, f"{cause.description.lower()} {state}",
              bool(writable >> cause.number & 1),
              "H Ssaia" if cause.number == causes.SGEI else _extension(cause, h_bits, "Sscofpmf"))
        for cause in causes.INTERRUPTS if present >> cause.number & 1)


def _extension(cause: causes.Cause, h_bits: int, lcofi: str) -> str:
    """The extension that a cause's bit belongs to."""
    if cause.name == "LCOFI":
        return lcofi
    return "H" if h_bits >> cause.number & 1 else ""


def delegation_fields(rows: tuple[causes.Cause, ...], writable: int, h_bits: int,
                      lcofi: str = "Sscofpmf") -> tuple[Field, ...]:
    """One field for each cause: whether it is delegated. `lcofi`: the extension that LCOFI's bit belongs to."""
    return tuple(
        Field(cause.name, cause.number, cause.number, f"delegate: {cause.description.lower()}",
              bool(writable >> cause.number & 1), _extension(cause, h_bits, lcofi))
        for cause in rows)


def local_interrupts(suffix: str, extension: str) -> Field:
    """The virtual interrupts beyond LCOFI that a level above can make out of nothing, in xie ("E") or xip ("P")."""
    state = "enabled" if suffix == "E" else "pending"
    return Field("LOCAL" + suffix, 63, causes.LCOFI + 1, f"virtual local interrupts {state}", True, extension)


# Both vector modes are implemented; MODE's upper bit is reserved and reads as zero.
TVEC = (Field("MODE", 0, 0, "0: every trap goes to BASE; 1: interrupts go to BASE + 4*cause", True),
        Field("BASE", 63, 2, "trap handler's address, bits 63 to 2", True))

# The codes that exist fit in six bits.
CAUSE = (Field("CODE", 5, 0, "exception or interrupt number", True),
         Field("INTERRUPT", 63, 63, "the trap was an interrupt", True))

# Without compressed instructions (IALIGN=32) bit 1 of an instruction address is always zero too.
EPC = (Field("HALFWORD", 1, 1, "address, bit 1", True, "Zca"),
       Field("ADDRESS", 63, 2, "address, bits 63 to 2", True))

SATP = (Field("PPN", 43, 0, "physical page number of the root page table", True),
        Field("ASID", 59, 44, "address-space identifier", True),
        Field("MODE", 63, 60, "0 bare, 8 Sv39, 9 Sv48, 10 Sv57", True))

COUNTER_ENABLE = (Field("CY", 0, 0, "cycle is readable below", True),
                  Field("TM", 1, 1, "time is readable below", True),
                  Field("IR", 2, 2, "instret is readable below", True),
                  Field("HPM", 31, 3, "hpmcounter3 to hpmcounter31 are readable below", True))


STATE_ENABLE_0 = (Field("CONTEXT", 57, 57, "scontext and hcontext can be accessed below", True, "Sdtrig"),
                  Field("IMSIC", 58, 58, "interrupt files can be accessed below", True, "Ssaia"),
                  Field("AIA", 59, 59, "the other state of Ssaia can be accessed below", True, "Ssaia"),
                  Field("CSRIND", 60, 60, "siselect and sireg can be accessed below", True, "Sscsrind"),
                  Field("ENVCFG", 62, 62, "senvcfg and henvcfg can be accessed below", True),
                  Field("SE0", 63, 63, "the stateen registers of this number can be accessed below", True))


def state_enables(number: int, name: str, level: str, extension: str) -> tuple[Csr, ...]:
    """The four stateen registers of a level, from CSR `number` on; beyond 0 they enable nothing but each other."""
    others = (Field("SE", 63, 63, "the stateen registers of this number can be accessed below", True),)
    return tuple(structured(number + i, f"{name}{i}", f"State that {level} may access, {i}",
                            *(others if i else STATE_ENABLE_0), extension=extension) for i in range(4))


def environment_fields(for_user: str, full: bool) -> tuple[Field, ...]:
    """The fields of senvcfg, and with `full` those of menvcfg and henvcfg."""
    fields = (Field("FIOM", 0, 0, f"fences of memory order device accesses too, in {for_user}", True),
              Field("CBIE", 5, 4, "cbo.inval: 0 traps, 1 flushes, 3 invalidates", True, "Zicbom"),
              Field("CBCFE", 6, 6, "cbo.clean and cbo.flush are enabled", True, "Zicbom"),
              Field("CBZE", 7, 7, "cbo.zero is enabled", True, "Zicboz"))
    if not full:
        return fields
    return (*fields,
            Field("ADUE", 61, 61, "hardware sets A and D bits", True, "Svadu"),
            Field("PBMTE", 62, 62, "page-based memory types are enabled", True, "Svpbmt"),
            Field("STCE", 63, 63, "the level below has its own timer compare", True, "Sstc"))
