# Fusion: rows of instructions that have a handler together, see tools/fuse_handlers.py, which writes it, and fused.txt, which lists
# them.  Only the first op's handler is another for it; so wherever a block is entered, left or looked at, it is what it was.

cdef enum:
    FUSED_LIMIT = 4             # instructions in a row at most
    FUSED_KINDS = 64            # instructions that are part of any row
    FUSED_STATES = 1024         # beginnings of rows
    NOT_FUSED = -1              # the kind of an op that has not its instruction's usual handler

cdef u8 FUSED_KIND[N_OPS]                               # 0: part of no row
cdef u16 FUSED_NEXT[FUSED_STATES][FUSED_KINDS]          # 0: no row begins so
cdef handler_t FUSED_RUN[FUSED_STATES]                  # NULL: only a beginning
cdef int N_FUSED_KINDS = 1
cdef int N_FUSED_STATES = 1


cdef int bind_row(int first, int second, int third, int fourth, handler_t run) except -1:
    """File a handler under its instructions; -1 where there are fewer than four."""
    global N_FUSED_KINDS, N_FUSED_STATES
    cdef int ops[FUSED_LIMIT]
    cdef int i, state = 0
    ops[0], ops[1], ops[2], ops[3] = first, second, third, fourth
    for i in range(FUSED_LIMIT):
        if ops[i] < 0:
            break
        if FUSED_KIND[ops[i]] == 0:
            FUSED_KIND[ops[i]] = <u8>N_FUSED_KINDS
            N_FUSED_KINDS += 1
        if N_FUSED_KINDS > FUSED_KINDS or N_FUSED_STATES == FUSED_STATES:
            raise ImportError("more fused rows than there is room for")
        if FUSED_NEXT[state][FUSED_KIND[ops[i]]] == 0:
            FUSED_NEXT[state][FUSED_KIND[ops[i]]] = <u16>N_FUSED_STATES
            N_FUSED_STATES += 1
        state = FUSED_NEXT[state][FUSED_KIND[ops[i]]]
    FUSED_RUN[state] = run
    return 0


cdef void fuse_rows(Op* ops, i16* kinds, int n) noexcept nogil:
    """Give each op of a block the handler of the longest row that begins with it."""
    cdef handler_t best
    cdef int i, k, state
    for i in range(n - 1):
        best = NULL
        state = 0
        for k in range(i, n):
            if kinds[k] == NOT_FUSED or FUSED_KIND[kinds[k]] == 0:
                break
            state = FUSED_NEXT[state][FUSED_KIND[kinds[k]]]
            if state == 0:
                break
            if FUSED_RUN[state] != NULL:
                best = FUSED_RUN[state]
        if best != NULL:
            ops[i].run = best


cdef bint jump_known(HartState* h, Op* op, Op* before, i16 kind_before, u64 vpc) noexcept nogil:
    """A JALR right behind the AUIPC of its rs1 goes to one place: if that is in the block's page, it is a JAL, which links directly."""
    cdef u64 target
    if kind_before != OP_AUIPC or before.rd != op.rs1 or not h.enabled[EXT_ZCA]:
        return False
    target = (vpc + <i64>before.imm + <i64>op.imm) & ~<u64>1
    if (target ^ vpc) >> PAGE_SHIFT:
        return False
    op.imm = <i32>(target - vpc)
    op.run = HANDLERS[OP_JAL]
    return True
