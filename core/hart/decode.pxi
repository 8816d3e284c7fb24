# Decoding from core.isa's rows, copied into C arrays at import: which row an instruction is, and where its operands lie.

cdef enum:
    MAX_ROWS = 512
    MAX_FORMATS = 96
    MAX_PIECES = 10
    MAX_BUCKET = 192

cdef struct Decoded:
    i32 op
    i32 imm
    u8 rd
    u8 rs1
    u8 rs2

cdef struct Operand:
    int sign_bits
    i32 constant
    int n
    u8 source[MAX_PIECES]
    u8 width[MAX_PIECES]
    u8 target[MAX_PIECES]

cdef struct Row:
    u32 match
    u32 mask
    u32 nonzero                 # 0, or bits of which one at least must be set
    i32 op
    int form
    u8 extension

cdef struct Bucket:             # rows that can match, most specific first, by the bits all encodings share
    int n
    i16 rows[MAX_BUCKET]

cdef Row ROWS[MAX_ROWS]
cdef int N_ROWS = 0
cdef Operand FORMATS[MAX_FORMATS][4]       # rd, rs1, rs2, imm
cdef u8 FORMAT_ROUNDS[MAX_FORMATS]         # bits 2:0 of imm are a rounding mode
cdef Bucket WORDS[256]                     # by opcode and funct3
cdef Bucket HALVES[32]                     # by quadrant and funct3
cdef u32 ROW_MATCH[N_OPS]
cdef handler_t HANDLERS[N_OPS]
cdef u64 DECODED[N_OPS]
cdef u8 OP_EXTENSION[N_OPS]
cdef u8 ENDS_BLOCK[N_OPS]
cdef u8 PC_RELATIVE[N_OPS]
cdef u16 CSR_TWIN[4096]                    # the VS register that stands in for it where V=1, or 0


cdef inline i32 extract(Operand* operand, u32 bits) noexcept nogil:
    cdef u32 value = 0
    cdef int i
    for i in range(operand.n):
        value |= ((bits >> operand.source[i]) & ((<u32>1 << operand.width[i]) - 1)) << operand.target[i]
    if operand.sign_bits:
        return (<i32>(value << (32 - operand.sign_bits)) >> (32 - operand.sign_bits)) + operand.constant
    return <i32>value + operand.constant


cdef bint decode(HartState* h, u32 bits, Decoded* d) noexcept nogil:
    """Find the row of an instruction and its operands; False if it is none of this hart's.  A hint of an extension that the hart lacks
    is what it is without it: the row that matches next."""
    cdef Bucket* bucket
    cdef Row* row
    cdef int i
    if bits & 3 == 3:
        bucket = &WORDS[(bits >> 2 & 31) << 3 | (bits >> 12 & 7)]
    else:
        bits &= 0xFFFF
        bucket = &HALVES[(bits & 3) << 3 | (bits >> 13 & 7)]
    for i in range(bucket.n):
        row = &ROWS[bucket.rows[i]]
        if bits & row.mask == row.match and (row.nonzero == 0 or bits & row.nonzero) \
                and h.enabled[row.extension] and h.enabled[OP_EXTENSION[row.op]]:
            d.op = row.op
            d.rd = <u8>extract(&FORMATS[row.form][0], bits)
            d.rs1 = <u8>extract(&FORMATS[row.form][1], bits)
            d.rs2 = <u8>extract(&FORMATS[row.form][2], bits)
            d.imm = extract(&FORMATS[row.form][3], bits)
            return not FORMAT_ROUNDS[row.form] or not 5 <= d.imm & 7 <= 6
    return False


cdef int add_to(Bucket* bucket) except -1:
    """File the row being added under a bucket."""
    if bucket.n == MAX_BUCKET:
        raise ImportError("more rows share a bucket than MAX_BUCKET")
    bucket.rows[bucket.n] = <i16>N_ROWS
    bucket.n += 1
    return 0


cdef int add_row(tuple row) except -1:
    """File one (match, mask, op, format, nonzero, extension) row under every bucket it can match."""
    global N_ROWS
    cdef Row* r = &ROWS[N_ROWS]
    cdef Bucket* bucket
    cdef u32 key, base
    cdef int i
    if N_ROWS == MAX_ROWS:
        raise ImportError("more rows than MAX_ROWS")
    r.match, r.mask, r.op, r.form, r.nonzero, r.extension = row
    if r.match & 3 == 3:
        for i in range(256):
            key = <u32>(i >> 3) << 2 | <u32>(i & 7) << 12
            base = 31 << 2 | 7 << 12
            if (key ^ r.match) & r.mask & base == 0:
                bucket = &WORDS[i]
                add_to(bucket)
    else:
        for i in range(32):
            key = <u32>(i >> 3) | <u32>(i & 7) << 13
            base = 3 | 7 << 13
            if (key ^ r.match) & r.mask & base == 0:
                bucket = &HALVES[i]
                add_to(bucket)
    N_ROWS += 1
    return 0


cdef int load_tables() except -1:
    """Copy core.isa's rows into the arrays above.  ImportError if they are not those that the constants were made from."""
    cdef Operand* operand
    cdef int i, k, j
    if codegen.signature() != TABLES_SIGNATURE:
        raise ImportError("the compiled hart is older than the instruction and CSR tables in core/isa; build it again: make build")
    if len(hart_tables.format_rows()) > MAX_FORMATS:
        raise ImportError(f"{len(hart_tables.format_rows())} formats: raise MAX_FORMATS")
    for i, form in enumerate(hart_tables.format_rows()):
        for k, (_, sign_bits, constant, pieces) in enumerate(form):
            operand = &FORMATS[i][k]
            operand.sign_bits = sign_bits
            operand.constant = constant
            operand.n = len(pieces)
            if operand.n > MAX_PIECES:
                raise ImportError(f"an operand of {operand.n} pieces: raise MAX_PIECES")
            for j, (source, width, target) in enumerate(pieces):
                operand.source[j] = source
                operand.width[j] = width
                operand.target[j] = target
    for i, (rd, rs1, rs2) in enumerate(hart_tables.float_operands()):
        FORMATS[i][0].constant += F_BASE if rd else 0
        FORMATS[i][1].constant += F_BASE if rs1 else 0
        FORMATS[i][2].constant += F_BASE if rs2 else 0
    for i, rounds in enumerate(hart_tables.rounding_formats()):
        FORMAT_ROUNDS[i] = rounds
    for row in hart_tables.op_rows():
        ROW_MATCH[row[2]] = row[0]
        add_row(row)
    for row in hart_tables.compressed_rows():
        add_row(row)
    for i, extension in enumerate(hart_tables.op_extensions()):
        OP_EXTENSION[i] = extension
    for op in (OP_JAL, OP_BEQ, OP_BNE, OP_BLT, OP_BGE, OP_BLTU, OP_BGEU):
        PC_RELATIVE[op] = 1
        ENDS_BLOCK[op] = 1
    for op in (OP_JALR, OP_ECALL, OP_EBREAK, OP_SRET, OP_MRET, OP_WFI):
        ENDS_BLOCK[op] = 1
    for number, twin in hart_tables.csr_twins():
        CSR_TWIN[number] = twin
    for stage, mode, levels, address_bits, root_entries in hart_tables.paging_rows():
        PAGING[stage][mode].levels = levels
        PAGING[stage][mode].address_bits = address_bits
        PAGING[stage][mode].root_mask = root_entries - 1
    return 0
