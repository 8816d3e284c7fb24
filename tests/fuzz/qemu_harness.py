"""The M-mode program around the random programs: loads each into the arena, runs it, logs every trap to M-mode.

It is assembled by our own assembler and runs, byte for byte the same, on our machine and on QEMU.
"""

from __future__ import annotations

from hartvisor.core.isa.assembler import Program, assemble

from .qemu_layout import (
    ACT_JUMP,
    ACT_MODE,
    ACT_PTE,
    ACT_SHORT,
    ACT_STAY,
    ACTION_SIZE,
    ACTIONS_AT,
    ARENA,
    COUNT,
    CSRS_AT,
    DESCRIPTOR,
    ENTRY_SIZE,
    FINAL_CSRS,
    FLOAT_REGISTERS_AT,
    FLOATS_AT,
    FRAMES,
    FRAMES_AT,
    HARNESS,
    INDEX,
    INITIAL_CSRS,
    LOG_AT,
    LOG_HEAD,
    LOG_SIZE,
    LOGGED_CSRS,
    LOGS,
    PROGRAMS,
    PROGRESS,
    REGISTERS_AT,
    STATUS_AT,
    TRAPS,
    VARIABLES,
)

MPP, MPRV, SPP, SPV = 3 << 11, 1 << 17, 1 << 8, 1 << 7
FS, FS_INITIAL = 3 << 13, 1 << 13
_FENCES = "sfence.vma\nhfence.vvma\nhfence.gvma\nfence.i"


# QEMU's boot ROM, its flash, its configuration space and its windows to PCI devices answer where our machine has
# nothing. Locked PMP entries make both machines refuse them, to M-mode too.
_WINDOWS = ((0x2000_0000, 0x2000_0000), (0x4000_0000, 0x4000_0000), (0x4_0000_0000, 0x4_0000_0000), (0, 0x1_0000))
# So are the devices that both have: which accesses a device takes is the platform's choice (QEMU lets LR, AMO and
# fetches pass). The harness must reach the test finisher's first word: that entry is not locked, so it binds all modes
# but M-mode.
_DEVICES = (
    (0x0C00_0000, 0x400_0000),
    (0x0200_0000, 0x1_0000),
    (0x1000_0000, 0x1000_0000),
    (0x10_1000, 0x1000),
    (0x10_0000, 8),
    (0x10_0000, 0x1000),
)


def _napot(base: int, size: int) -> int:
    """pmpaddr's value for an aligned range."""
    return base >> 2 | (size >> 3) - 1


def harness() -> Program:
    """The assembled harness: it starts at HARNESS and ends by the test finisher."""
    return assemble(_text(), HARNESS)


def _variable(index: int) -> str:
    return f"{8 * index}(gp)"


def _text() -> str:
    registers = range(1, 31)
    save = "\n".join(f"sd x{i}, {8 * (i - 1)}(x31)" for i in registers)
    restore = "\n".join(f"ld x{i}, {8 * (i - 1)}(x31)" for i in registers)
    log_csrs = "\n".join(f"csrr t0, {name}\nsd t0, {8 * (31 + i)}(x31)" for i, name in enumerate(LOGGED_CSRS))
    log_floats = "\n".join(f"fsd f{i}, {FLOATS_AT + 8 + 8 * i}(x31)" for i in range(32))
    floats = "\n".join(f"fld f{i}, {8 + 8 * i}(t1)" for i in range(32))
    final_csrs = "\n".join(f"csrr t0, {name}\nsd t0, {8 * i}(x31)" for i, name in enumerate(FINAL_CSRS))
    initial = "\n".join(f"ld t0, {8 * i}(t1)\ncsrw {name}, t0" for i, name in enumerate(INITIAL_CSRS))
    zero = "\n".join(f"sd x0, {8 * i}(t0)" for i in range(16))
    copy = "\n".join(f"ld t3, {8 * i}(t1)\nsd t3, {8 * i}(t0)" for i in range(16))
    fold = "\n".join(f"ld t3, {8 * i}(t0)\nmul t2, t2, t4\nadd t2, t2, t3" for i in range(8))
    locks = "\n".join(
        f"li t0, {_napot(base, size):#x}\ncsrw pmpaddr{4 + i}, t0"
        for i, (base, size) in enumerate((*_WINDOWS, *_DEVICES))
    )
    locks += "\nli t0, 0x9898989800000000\ncsrw pmpcfg0, t0\nli t0, 0x981898989898\ncsrw pmpcfg2, t0"
    return f"""
start:
    li t0, 0x2004000            # mtimecmp: never
    li t1, -1
    sd t1, 0(t0)
next:
{locks}
    la t0, handler
    csrw mtvec, t0
    li gp, {VARIABLES:#x}
    ld s0, {_variable(INDEX)}
    ld t0, {_variable(COUNT)}
    bgeu s0, t0, finish
    addi t0, s0, 1
    sd t0, {_variable(INDEX)}
    li t1, {PROGRAMS:#x}        # a table of the descriptors' addresses lies before them
    slli t0, s0, 3
    add t0, t0, t1
    ld s1, 0(t0)
    sd s1, {_variable(DESCRIPTOR)}
    ld t0, 0(s1)
    bnez t0, next               # to be skipped
    li t1, {LOG_SIZE}
    mul t1, t1, s0
    li t0, {LOGS:#x}
    add s2, t0, t1
    sd s2, {_variable(LOG_AT)}
    sd x0, {_variable(TRAPS)}
    csrw mie, x0
    csrw mstatus, x0
    li t0, {ARENA:#x}
    li t1, {ARENA + (FRAMES << 12):#x}
clear:
{zero}
    addi t0, t0, 128
    bltu t0, t1, clear
    ld t5, 16(s1)               # frames to copy
    li t2, {FRAMES_AT}
    add t1, s1, t2
frame:
    beqz t5, loaded
    ld t0, 0(t1)
    addi t1, t1, 8
    li t2, 4096
    add t2, t0, t2
copy:
{copy}
    addi t0, t0, 128
    addi t1, t1, 128
    bltu t0, t2, copy
    addi t5, t5, -1
    j frame
loaded:
    addi t1, s1, {FLOAT_REGISTERS_AT}
    li t0, {FS}
    csrs mstatus, t0
    ld t0, 0(t1)
    csrw fcsr, t0
{floats}
    addi t1, s1, {CSRS_AT}
{initial}
    {_FENCES}
    addi t0, s2, {LOG_HEAD}
    csrw mscratch, t0
    ld s3, 24(s1)               # the mode to start in
    jal s5, set_mode
    addi x31, s1, {REGISTERS_AT}
    j resume

# Make ready for a return to the mode in s3's bits of mstatus, at mepc; s4: whether by SRET. MPRV is off, so that the
# loads of the registers are M-mode's own. SRET, since not every QEMU lets mstatus.MPV be written.
set_mode:
    li t0, {MPP | MPRV:#x}
    csrc mstatus, t0
    li s4, 0
    li t0, {MPP:#x}
    and t1, s3, t0
    bne t0, t1, below
    csrs mstatus, t0
    jr s5
below:
    li s4, 1
    csrr t0, mepc
    csrw sepc, t0
    li t0, {SPP:#x}
    csrc mstatus, t0
    srli t1, s3, 3              # MPP's lower bit is SPP's, shifted
    and t1, t1, t0
    csrs mstatus, t1
    li t0, {SPV:#x}
    csrc hstatus, t0
    srli t1, s3, 32             # and MPV's is SPV's
    and t1, t1, t0
    csrs hstatus, t1
    jr s5

    .align 2
handler:
    csrrw x31, mscratch, x31    # x31: this entry of the log
{save}
    csrr t0, mscratch
    sd t0, {8 * 30}(x31)
    li gp, {VARIABLES:#x}
{log_csrs}
    li t0, {FS_INITIAL}         # the floating-point state can be read unless FS is Off; then FS as it was
    csrs mstatus, t0
    csrr t0, fcsr
    sd t0, {FLOATS_AT}(x31)
{log_floats}
    ld t0, {STATUS_AT}(x31)
    li t1, {FS}
    and t0, t0, t1
    csrc mstatus, t1
    csrs mstatus, t0
    sc.d t0, x0, (gp)           # QEMU keeps a reservation over a trap; its value at INDEX is not changed, for sc fails
    ld s0, {_variable(TRAPS)}
    addi t0, s0, 1
    sd t0, {_variable(TRAPS)}
    ld s1, {_variable(DESCRIPTOR)}
    ld t1, 8(s1)
    bgeu t0, t1, over
    slli t0, s0, {ACTION_SIZE.bit_length() - 1}
    addi t1, s1, {ACTIONS_AT}
    add s2, t0, t1              # this trap's action
    ld s3, 0(s2)
    csrr t0, mcause
    bltz t0, interrupted
    li t1, 1 << 0 | 1 << 1 | 1 << 12 | 1 << 20
    srl t1, t1, t0
    andi t1, t1, 1
    beqz t1, has_length
    ori s3, s3, {ACT_JUMP | ACT_MODE}
has_length:
    csrr t1, mepc
    andi t0, s3, {ACT_SHORT}
    srli t0, t0, 1
    addi t1, t1, 4
    sub t1, t1, t0
    andi t0, s3, {ACT_JUMP}
    beqz t0, goes_on
    ld t1, 8(s2)
goes_on:
    csrw mepc, t1
    j act
interrupted:
    li t1, 1                    # what came is masked, or it would come again
    sll t1, t1, t0
    csrc mie, t1
act:
    li s4, 2
    andi t0, s3, {ACT_STAY}
    bnez t0, has_mode
    andi t0, s3, {ACT_MODE}
    li s4, 0
    beqz t0, has_mode
    jal s5, set_mode
has_mode:
    andi t0, s3, {ACT_PTE}
    beqz t0, has_entry
    ld t0, 16(s2)
    ld t1, 24(s2)
    sd t1, 0(t0)
    {_FENCES}
has_entry:
    addi t0, x31, {ENTRY_SIZE}
    csrw mscratch, t0
resume:
    addi t0, s4, -1
    beqz t0, by_sret
    bgtz t0, by_jump
{restore}
    ld x31, {8 * 30}(x31)
return_by_mret:
    mret
by_sret:
{restore}
    ld x31, {8 * 30}(x31)
return_by_sret:
    sret
by_jump:
{restore}
    csrr x31, mepc
return_by_jump:
    jr x31                      # in M-mode still, MPP and MPV as the trap left them

over:
    ld t1, {_variable(LOG_AT)}
    sd t0, 0(t1)
    addi x31, x31, {ENTRY_SIZE}
{final_csrs}
    addi x31, x31, {8 * len(FINAL_CSRS)}
    li t0, {ARENA:#x}           # a polynomial hash of each frame
    li t4, 0x9E3779B97F4A7C15
    li t5, {FRAMES}
hash:
    li t2, 0
    li t1, 4096
    add t1, t1, t0
fold:
{fold}
    addi t0, t0, 64
    bltu t0, t1, fold
    sd t2, 0(x31)
    addi x31, x31, 8
    addi t5, t5, -1
    bnez t5, hash
    ld t0, {_variable(PROGRESS)}
    addi t0, t0, 1
    sd t0, {_variable(PROGRESS)}
    j next

finish:
    li t0, 0x100000
    li t1, 0x5555
    sw t1, 0(t0)
wait:
    j wait
"""
