"""The 32-bit unprivileged instructions: I, M, A, Zifencei, Zicsr (unprivileged manual, "Instruction Set Listings")."""

from __future__ import annotations

from .causes import ILLEGAL_INSTRUCTION, VIRTUAL_INSTRUCTION
from .formats import AMO, CSR, FENCE, LOAD_RESERVED, SHIFT, SHIFT_W, B, I, J, R, S, U
from .row import ANY_MODE, Instruction, Privilege, TrapRule

_EXACT = 0xFFFFFFFF
_OPCODE = 0x0000007F
_FUNCT3 = 0x0000707F
_FUNCT6 = 0xFC00707F
_FUNCT7 = 0xFE00707F
_FUNCT5 = 0xF800707F  # AMOs: bits 26:25 are aq and rl
_FUNCT5_RS2 = 0xF9F0707F  # lr: rs2 must be x0

_REGS = "rd, rs1, rs2"
_IMM = "rd, rs1, imm"
_SHAMT = "rd, rs1, shamt"
_LOAD = "rd, imm(rs1)"
_STORE = "rs2, imm(rs1)"
_BRANCH = "rs1, rs2, target"
_AMO = "rd, rs2, (rs1)"

# The CSR's own number and state decide more: privilege level, counter enables, TVM and the H rules.
_CSR_ACCESS = Privilege(
    ANY_MODE,
    tuple(TrapRule(mode, "the CSR needs a higher mode, is read-only and written, or does not exist", cause)
          for mode, cause in (("M", ILLEGAL_INSTRUCTION), ("HS", ILLEGAL_INSTRUCTION), ("U", ILLEGAL_INSTRUCTION)))
    + tuple(TrapRule(mode, condition, cause)
            for mode in ("VS", "VU")
            for condition, cause in (
                ("HS-mode could make this access", VIRTUAL_INSTRUCTION),
                ("HS-mode could not either", ILLEGAL_INSTRUCTION))),
    "CSR Address Mapping Conventions; H: Trap Cause Codes")

RV64I: tuple[Instruction, ...] = (
    Instruction("lui", U, 0x00000037, _OPCODE, "I", "rd, upper"),
    Instruction("auipc", U, 0x00000017, _OPCODE, "I", "rd, upper"),
    Instruction("jal", J, 0x0000006F, _OPCODE, "I", "rd, target"),
    Instruction("jalr", I, 0x00000067, _FUNCT3, "I", "rd, imm(rs1)"),
    Instruction("beq", B, 0x00000063, _FUNCT3, "I", _BRANCH),
    Instruction("bne", B, 0x00001063, _FUNCT3, "I", _BRANCH),
    Instruction("blt", B, 0x00004063, _FUNCT3, "I", _BRANCH),
    Instruction("bge", B, 0x00005063, _FUNCT3, "I", _BRANCH),
    Instruction("bltu", B, 0x00006063, _FUNCT3, "I", _BRANCH),
    Instruction("bgeu", B, 0x00007063, _FUNCT3, "I", _BRANCH),
    Instruction("lb", I, 0x00000003, _FUNCT3, "I", _LOAD),
    Instruction("lh", I, 0x00001003, _FUNCT3, "I", _LOAD),
    Instruction("lw", I, 0x00002003, _FUNCT3, "I", _LOAD),
    Instruction("ld", I, 0x00003003, _FUNCT3, "I", _LOAD),
    Instruction("lbu", I, 0x00004003, _FUNCT3, "I", _LOAD),
    Instruction("lhu", I, 0x00005003, _FUNCT3, "I", _LOAD),
    Instruction("lwu", I, 0x00006003, _FUNCT3, "I", _LOAD),
    Instruction("sb", S, 0x00000023, _FUNCT3, "I", _STORE),
    Instruction("sh", S, 0x00001023, _FUNCT3, "I", _STORE),
    Instruction("sw", S, 0x00002023, _FUNCT3, "I", _STORE),
    Instruction("sd", S, 0x00003023, _FUNCT3, "I", _STORE),
    Instruction("addi", I, 0x00000013, _FUNCT3, "I", _IMM),
    Instruction("slti", I, 0x00002013, _FUNCT3, "I", _IMM),
    Instruction("sltiu", I, 0x00003013, _FUNCT3, "I", _IMM),
    Instruction("xori", I, 0x00004013, _FUNCT3, "I", _IMM),
    Instruction("ori", I, 0x00006013, _FUNCT3, "I", _IMM),
    Instruction("andi", I, 0x00007013, _FUNCT3, "I", _IMM),
    Instruction("slli", SHIFT, 0x00001013, _FUNCT6, "I", _SHAMT),
    Instruction("srli", SHIFT, 0x00005013, _FUNCT6, "I", _SHAMT),
    Instruction("srai", SHIFT, 0x40005013, _FUNCT6, "I", _SHAMT),
    Instruction("add", R, 0x00000033, _FUNCT7, "I", _REGS),
    Instruction("sub", R, 0x40000033, _FUNCT7, "I", _REGS),
    Instruction("sll", R, 0x00001033, _FUNCT7, "I", _REGS),
    Instruction("slt", R, 0x00002033, _FUNCT7, "I", _REGS),
    Instruction("sltu", R, 0x00003033, _FUNCT7, "I", _REGS),
    Instruction("xor", R, 0x00004033, _FUNCT7, "I", _REGS),
    Instruction("srl", R, 0x00005033, _FUNCT7, "I", _REGS),
    Instruction("sra", R, 0x40005033, _FUNCT7, "I", _REGS),
    Instruction("or", R, 0x00006033, _FUNCT7, "I", _REGS),
    Instruction("and", R, 0x00007033, _FUNCT7, "I", _REGS),
    Instruction("addiw", I, 0x0000001B, _FUNCT3, "I", _IMM),
    Instruction("slliw", SHIFT_W, 0x0000101B, _FUNCT7, "I", _SHAMT),
    Instruction("srliw", SHIFT_W, 0x0000501B, _FUNCT7, "I", _SHAMT),
    Instruction("sraiw", SHIFT_W, 0x4000501B, _FUNCT7, "I", _SHAMT),
    Instruction("addw", R, 0x0000003B, _FUNCT7, "I", _REGS),
    Instruction("subw", R, 0x4000003B, _FUNCT7, "I", _REGS),
    Instruction("sllw", R, 0x0000103B, _FUNCT7, "I", _REGS),
    Instruction("srlw", R, 0x0000503B, _FUNCT7, "I", _REGS),
    Instruction("sraw", R, 0x4000503B, _FUNCT7, "I", _REGS),
    # Reserved fields of fence and fence.i are ignored ("Memory Ordering Instructions"), so no mask bit covers them.
    Instruction("fence", FENCE, 0x0000000F, _FUNCT3, "I", "pred, succ"),
    Instruction("fence.tso", FENCE, 0x8330000F, _EXACT, "I", "", expands="fence"),
    Instruction("pause", FENCE, 0x0100000F, _EXACT, "Zihintpause", "", expands="fence"),
)

ZIFENCEI: tuple[Instruction, ...] = (
    Instruction("fence.i", I, 0x0000100F, _FUNCT3, "Zifencei", ""),
)

ZICSR: tuple[Instruction, ...] = (
    Instruction("csrrw", CSR, 0x00001073, _FUNCT3, "Zicsr", "rd, csr, rs1", _CSR_ACCESS),
    Instruction("csrrs", CSR, 0x00002073, _FUNCT3, "Zicsr", "rd, csr, rs1", _CSR_ACCESS),
    Instruction("csrrc", CSR, 0x00003073, _FUNCT3, "Zicsr", "rd, csr, rs1", _CSR_ACCESS),
    Instruction("csrrwi", CSR, 0x00005073, _FUNCT3, "Zicsr", "rd, csr, zimm", _CSR_ACCESS),
    Instruction("csrrsi", CSR, 0x00006073, _FUNCT3, "Zicsr", "rd, csr, zimm", _CSR_ACCESS),
    Instruction("csrrci", CSR, 0x00007073, _FUNCT3, "Zicsr", "rd, csr, zimm", _CSR_ACCESS),
)

RV64M: tuple[Instruction, ...] = (
    Instruction("mul", R, 0x02000033, _FUNCT7, "Zmmul", _REGS),
    Instruction("mulh", R, 0x02001033, _FUNCT7, "Zmmul", _REGS),
    Instruction("mulhsu", R, 0x02002033, _FUNCT7, "Zmmul", _REGS),
    Instruction("mulhu", R, 0x02003033, _FUNCT7, "Zmmul", _REGS),
    Instruction("div", R, 0x02004033, _FUNCT7, "M", _REGS),
    Instruction("divu", R, 0x02005033, _FUNCT7, "M", _REGS),
    Instruction("rem", R, 0x02006033, _FUNCT7, "M", _REGS),
    Instruction("remu", R, 0x02007033, _FUNCT7, "M", _REGS),
    Instruction("mulw", R, 0x0200003B, _FUNCT7, "Zmmul", _REGS),
    Instruction("divw", R, 0x0200403B, _FUNCT7, "M", _REGS),
    Instruction("divuw", R, 0x0200503B, _FUNCT7, "M", _REGS),
    Instruction("remw", R, 0x0200603B, _FUNCT7, "M", _REGS),
    Instruction("remuw", R, 0x0200703B, _FUNCT7, "M", _REGS),
)

RV64A: tuple[Instruction, ...] = (
    Instruction("lr.w", LOAD_RESERVED, 0x1000202F, _FUNCT5_RS2, "Zalrsc", "rd, (rs1)"),
    Instruction("sc.w", AMO, 0x1800202F, _FUNCT5, "Zalrsc", _AMO),
    Instruction("amoswap.w", AMO, 0x0800202F, _FUNCT5, "Zaamo", _AMO),
    Instruction("amoadd.w", AMO, 0x0000202F, _FUNCT5, "Zaamo", _AMO),
    Instruction("amoxor.w", AMO, 0x2000202F, _FUNCT5, "Zaamo", _AMO),
    Instruction("amoand.w", AMO, 0x6000202F, _FUNCT5, "Zaamo", _AMO),
    Instruction("amoor.w", AMO, 0x4000202F, _FUNCT5, "Zaamo", _AMO),
    Instruction("amomin.w", AMO, 0x8000202F, _FUNCT5, "Zaamo", _AMO),
    Instruction("amomax.w", AMO, 0xA000202F, _FUNCT5, "Zaamo", _AMO),
    Instruction("amominu.w", AMO, 0xC000202F, _FUNCT5, "Zaamo", _AMO),
    Instruction("amomaxu.w", AMO, 0xE000202F, _FUNCT5, "Zaamo", _AMO),
    Instruction("lr.d", LOAD_RESERVED, 0x1000302F, _FUNCT5_RS2, "Zalrsc", "rd, (rs1)"),
    Instruction("sc.d", AMO, 0x1800302F, _FUNCT5, "Zalrsc", _AMO),
    Instruction("amoswap.d", AMO, 0x0800302F, _FUNCT5, "Zaamo", _AMO),
    Instruction("amoadd.d", AMO, 0x0000302F, _FUNCT5, "Zaamo", _AMO),
    Instruction("amoxor.d", AMO, 0x2000302F, _FUNCT5, "Zaamo", _AMO),
    Instruction("amoand.d", AMO, 0x6000302F, _FUNCT5, "Zaamo", _AMO),
    Instruction("amoor.d", AMO, 0x4000302F, _FUNCT5, "Zaamo", _AMO),
    Instruction("amomin.d", AMO, 0x8000302F, _FUNCT5, "Zaamo", _AMO),
    Instruction("amomax.d", AMO, 0xA000302F, _FUNCT5, "Zaamo", _AMO),
    Instruction("amominu.d", AMO, 0xC000302F, _FUNCT5, "Zaamo", _AMO),
    Instruction("amomaxu.d", AMO, 0xE000302F, _FUNCT5, "Zaamo", _AMO),
)

BASE_ROWS: tuple[Instruction, ...] = RV64I + ZIFENCEI + ZICSR + RV64M + RV64A
