# Which floating-point work each row of the instruction table is, and which handler stands in front of it.

cdef enum:                      # besides a rounding mode, what FAST_RM can be
    ANY_STATIC = 8              # the result is exact in every mode; a dynamic one might still be reserved

FORMATS_BY_LETTER = {"s": SINGLE, "d": DOUBLE, "h": HALF}
INTEGERS = {"w": WORD, "wu": WORD_UNSIGNED, "l": LONG, "lu": LONG_UNSIGNED}
ROUNDED = {"fadd": FLOAT_ADD, "fsub": FLOAT_SUB, "fmul": FLOAT_MUL, "fdiv": FLOAT_DIV, "fsqrt": FLOAT_SQRT, "fmadd": FLOAT_MADD,
           "fmsub": FLOAT_MSUB, "fnmsub": FLOAT_NMSUB, "fnmadd": FLOAT_NMADD, "fround": FLOAT_ROUND, "froundnx": FLOAT_ROUND_TELL}
UNROUNDED = {"fsgnj": FLOAT_SGNJ, "fsgnjn": FLOAT_SGNJN, "fsgnjx": FLOAT_SGNJX, "fmin": FLOAT_MIN, "fmax": FLOAT_MAX,
             "fminm": FLOAT_MINM, "fmaxm": FLOAT_MAXM, "fli": FLOAT_LI}
TO_INTEGER_REGISTER = {"feq": FLOAT_EQ, "flt": FLOAT_LT, "fle": FLOAT_LE, "fltq": FLOAT_LTQ, "fleq": FLOAT_LEQ, "fclass": FLOAT_CLASS}


def float_work():
    """Instruction name to its work, for every floating-point computation."""
    work = {"fcvtmod.w.d": FLOAT_TO_INTEGER_MODULAR | DOUBLE << W_FORMAT_SHIFT | W_TO_X}
    for letter, fmt in FORMATS_BY_LETTER.items():
        place = fmt << W_FORMAT_SHIFT
        work |= {f"{name}.{letter}": operation | place | W_ROUNDED for name, operation in ROUNDED.items()}
        work |= {f"{name}.{letter}": operation | place for name, operation in UNROUNDED.items()}
        work |= {f"{name}.{letter}": operation | place | W_TO_X for name, operation in TO_INTEGER_REGISTER.items()}
        for name, kind in INTEGERS.items():
            work[f"fcvt.{name}.{letter}"] = FLOAT_TO_INTEGER | place | kind << W_OTHER_SHIFT | W_TO_X | W_ROUNDED
            work[f"fcvt.{letter}.{name}"] = FLOAT_FROM_INTEGER | place | kind << W_OTHER_SHIFT | W_ROUNDED
        for other, source in FORMATS_BY_LETTER.items():
            work[f"fcvt.{letter}.{other}"] = FLOAT_CONVERT | place | source << W_OTHER_SHIFT | W_ROUNDED
        register = "w" if letter == "s" else letter
        work[f"fmv.x.{register}"] = FLOAT_TO_X | place | W_TO_X
        work[f"fmv.{register}.x"] = FLOAT_FROM_X | place
    return work


cdef void bind_fast(int op, handler_t handler, int rounding) noexcept:
    FAST[op] = handler
    FAST_RM[op] = <u8>rounding


cdef int bind_float_handlers() except -1:
    work = float_work()
    for op, name in enumerate(hart_tables.op_names()):
        if name in work:
            WORK[op] = work[name]
            HANDLERS[op] = op_float
    for i, value in enumerate(rows_float.FLI_CONSTANTS):
        if value != "min":
            LI_CONSTANTS[i] = double_bits(float(value))
    HANDLERS[OP_FLH] = op_flh
    HANDLERS[OP_FLW] = op_flw
    HANDLERS[OP_FLD] = op_fld
    HANDLERS[OP_FSH] = op_fsh
    HANDLERS[OP_FSW] = op_fsw
    HANDLERS[OP_FSD] = op_fsd
    bind_fast(OP_FADD_D, op_fadd_d, RNE)
    bind_fast(OP_FADD_S, op_fadd_s, RNE)
    bind_fast(OP_FSUB_D, op_fsub_d, RNE)
    bind_fast(OP_FSUB_S, op_fsub_s, RNE)
    bind_fast(OP_FMUL_D, op_fmul_d, RNE)
    bind_fast(OP_FMUL_S, op_fmul_s, RNE)
    bind_fast(OP_FDIV_D, op_fdiv_d, RNE)
    bind_fast(OP_FDIV_S, op_fdiv_s, RNE)
    bind_fast(OP_FSQRT_D, op_fsqrt_d, RNE)
    bind_fast(OP_FSQRT_S, op_fsqrt_s, RNE)
    if host_fuses():
        bind_fast(OP_FMADD_D, <handler_t>op_fmadd_d, RNE)
        bind_fast(OP_FMADD_S, <handler_t>op_fmadd_s, RNE)
        bind_fast(OP_FMSUB_D, <handler_t>op_fmsub_d, RNE)
        bind_fast(OP_FMSUB_S, <handler_t>op_fmsub_s, RNE)
        bind_fast(OP_FNMSUB_D, <handler_t>op_fnmsub_d, RNE)
        bind_fast(OP_FNMSUB_S, <handler_t>op_fnmsub_s, RNE)
        bind_fast(OP_FNMADD_D, <handler_t>op_fnmadd_d, RNE)
        bind_fast(OP_FNMADD_S, <handler_t>op_fnmadd_s, RNE)
    bind_fast(OP_FCVT_S_D, op_fcvt_s_d, RNE)
    bind_fast(OP_FCVT_D_L, op_fcvt_d_l, RNE)
    bind_fast(OP_FCVT_S_L, op_fcvt_s_l, RNE)
    bind_fast(OP_FCVT_S_W, op_fcvt_s_w, RNE)
    bind_fast(OP_FCVT_S_WU, op_fcvt_s_wu, RNE)
    bind_fast(OP_FCVT_W_D, op_fcvt_w_d, RTZ)
    bind_fast(OP_FCVT_W_S, op_fcvt_w_s, RTZ)
    bind_fast(OP_FCVT_WU_D, op_fcvt_wu_d, RTZ)
    bind_fast(OP_FCVT_WU_S, op_fcvt_wu_s, RTZ)
    bind_fast(OP_FCVT_L_D, op_fcvt_l_d, RTZ)
    bind_fast(OP_FCVT_L_S, op_fcvt_l_s, RTZ)
    bind_fast(OP_FCVT_LU_D, op_fcvt_lu_d, RTZ)
    bind_fast(OP_FCVT_LU_S, op_fcvt_lu_s, RTZ)
    bind_fast(OP_FCVT_D_W, op_fcvt_d_w, ANY_STATIC)
    bind_fast(OP_FCVT_D_WU, op_fcvt_d_wu, ANY_STATIC)
    bind_fast(OP_FCVT_D_S, op_fcvt_d_s, ANY_STATIC)
    # What is not rounded has no rm: its bits of imm are 0.
    bind_fast(OP_FSGNJ_D, op_fsgnj_d, RNE)
    bind_fast(OP_FSGNJ_S, op_fsgnj_s, RNE)
    bind_fast(OP_FSGNJN_D, op_fsgnjn_d, RNE)
    bind_fast(OP_FSGNJN_S, op_fsgnjn_s, RNE)
    bind_fast(OP_FSGNJX_D, op_fsgnjx_d, RNE)
    bind_fast(OP_FSGNJX_S, op_fsgnjx_s, RNE)
    bind_fast(OP_FEQ_D, op_feq_d, RNE)
    bind_fast(OP_FEQ_S, op_feq_s, RNE)
    bind_fast(OP_FLT_D, op_flt_d, RNE)
    bind_fast(OP_FLT_S, op_flt_s, RNE)
    bind_fast(OP_FLE_D, op_fle_d, RNE)
    bind_fast(OP_FLE_S, op_fle_s, RNE)
    bind_fast(OP_FMIN_D, op_fmin_d, RNE)
    bind_fast(OP_FMIN_S, op_fmin_s, RNE)
    bind_fast(OP_FMAX_D, op_fmax_d, RNE)
    bind_fast(OP_FMAX_S, op_fmax_s, RNE)
    bind_fast(OP_FMV_X_D, op_fmv_x_d, RNE)
    bind_fast(OP_FMV_X_W, op_fmv_x_w, RNE)
    bind_fast(OP_FMV_D_X, op_fmv_d_x, RNE)
    bind_fast(OP_FMV_W_X, op_fmv_w_x, RNE)
    return 0


cdef inline void float_place(Op* op, int number) noexcept nogil:
    """Complete the op of a floating-point computation: its work, and the fast handler if its rounding mode allows it."""
    cdef int rm = op.imm & 7
    if FAST[number] != NULL and (rm == FAST_RM[number] or (rm == DYN and FAST_RM[number] == RNE)
                                 or (rm != DYN and FAST_RM[number] == ANY_STATIC)):
        op.run = FAST[number]
    op.imm |= <i32>(WORK[number] << W_SHIFT)
