# The hart's state as plain C: what a handler reaches through one pointer.

cdef extern from *:
    """
    typedef unsigned char hv_u8; typedef unsigned short hv_u16; typedef unsigned int hv_u32; typedef unsigned long long hv_u64;
    typedef signed char hv_i8; typedef short hv_i16; typedef int hv_i32; typedef long long hv_i64;
    typedef __int128 hv_i128; typedef unsigned __int128 hv_u128;
    #define HV_NOINLINE __attribute__((noinline))
    #define HV_INLINE __attribute__((always_inline)) inline
    #define hv_likely(c) __builtin_expect(!!(c), 1)
    #define hv_trailing_zeros(value) __builtin_ctzll(value)
    #define HV_EVERY_BIT (~0ULL)
    """
    ctypedef void SLOW "HV_NOINLINE void"       # return type of slow paths: inlined into handlers, they would cost each a stack frame
    ctypedef void MERGED "HV_INLINE void"       # return type of what must become part of its callers, or no call in it would be a jump
    ctypedef int MERGED_INT "HV_INLINE int"
    ctypedef unsigned char u8 "hv_u8"
    ctypedef unsigned short u16 "hv_u16"
    ctypedef unsigned int u32 "hv_u32"
    ctypedef unsigned long long u64 "hv_u64"
    ctypedef signed char i8 "hv_i8"
    ctypedef short i16 "hv_i16"
    ctypedef int i32 "hv_i32"
    ctypedef long long i64 "hv_i64"
    bint likely "hv_likely"(bint condition) noexcept nogil
    int trailing_zeros "hv_trailing_zeros"(u64 value) noexcept nogil
    const u64 EVERY_BIT "HV_EVERY_BIT"

cdef enum:
    PAGE_SHIFT = 12
    PAGE_SIZE = 4096
    OFFSET_MASK = 4095
    SINK = 32                   # x[SINK] swallows writes to x0
    F_BASE = 64                 # x[F_BASE] is f0, and so on: an op names the registers of both files alike
    BLOCK_LIMIT = 62            # instructions in a block at most
    TLB_SIZE = 512              # entries per context, a power of two
    SECOND_SIZE = 8192          # entries of the second level, a power of two
    TABLES_SIZE = 256           # tables of the last level that walks start at, a power of two
    PASSED_LIMIT = 8
    CONTEXTS = 24               # address-space contexts kept before the least recently used is dropped
    JUMP_SIZE = 4096            # entries of the jump cache, a power of two
    HASH_SIZE = 65536           # buckets of the block table, a power of two
    ARENA_CHUNK = 1048576
    ARENA_CHUNKS = 96           # code cache limit: 96 MiB, then everything is translated afresh
    MAX_HARTS = 64
    MAX_BREAKPOINTS = 256
    WALK_LIMIT = 48             # page-table entries one two-stage walk can read (Sv57 on Sv57x4: 35, and 5 to set A or D)
    PMP_ENTRIES = 64
    PTE_SIZE = 8
    EVERY_LOG = 255             # a frame stored to is dirty in each of the logs, which are bits
    DIRTY_LOGS = 8
    GUEST_FILES = 7             # interrupt files for guests that a hart can have (QEMU's virt: 3 bits of guest index)
    FILE_WORDS = 4              # identities 1 to 255 in an interrupt file

cdef enum:                      # privilege encodings (privileged manual, "Privilege levels")
    U_MODE = 0
    S_MODE = 1
    M_MODE = 3

cdef enum:                      # kinds of access
    FETCH = 0
    LOAD = 1
    STORE = 2

cdef enum:                      # frame flags: the frame feeds a cache, so stores to it take the slow path
    FRAME_CODE = 1              # decoded blocks derive from it
    FRAME_PT = 2                # cached translations derive from page-table entries in it
    FRAME_RESERVED = 4          # a hart that is not running holds a reservation in it
    FRAME_FEEDS = 7
    FRAME_WCACHED = 8           # some translation cache holds a write tag for it
    FRAME_STORES_WATCHED = 16   # a watchpoint of the host's looks for stores to it,
    FRAME_LOADS_WATCHED = 32    # or for loads
    FRAME_WATCHED = 48
    FRAME_TABLE = 64            # stores to it are noted, see notes.pxi
    FRAME_NO_WRITE_TAG = 87     # it feeds a cache, is watched for stores, or they are noted

cdef enum:                      # what brought the run loop out of the handlers
    EVENT_NONE = 0
    EVENT_TRAP = 1              # an exception waits in h.fault_*
    EVENT_MMIO = 2              # an access outside RAM waits in h.mmio_*
    EVENT_WFI = 3               # WFI retired

cdef enum:                      # reasons of Hart.run's Exit
    REASON_BUDGET = 0
    REASON_TRAP = 1
    REASON_MMIO = 2
    REASON_WFI = 3
    REASON_BREAKPOINT = 4
    REASON_NONE = 5
    REASON_IDLE = 6
    REASON_WATCHPOINT = 7
    REASON_CHANGED = 8

cdef enum:
    HOST_M_BIT = 1
    HOST_HS_BIT = 2

# Context.mode: everything besides the roots that decides whether a translation is allowed.
cdef enum:
    CTX_PRIV = 3
    CTX_V = 4
    CTX_SUM = 8
    CTX_MXR = 16                # mstatus.MXR: overrides both stages
    CTX_VMXR = 32               # vsstatus.MXR: the first stage only

cdef struct HartState
cdef struct Op
cdef struct Block
cdef struct MemState
cdef struct TraceState

ctypedef void (*handler_t)(HartState*, Op*, i64) noexcept nogil

cdef struct Op:                 # one predecoded instruction, 16 bytes
    handler_t run
    i32 imm
    u8 rd
    u8 rs1
    u8 rs2
    u8 idx                      # position in its block: ip - idx is the first op, the header stands right before it

cdef struct Side:               # where an op stands in its block
    u16 offset                  # bytes from the block's start
    u16 ordinal                 # instructions before it

cdef struct Block:              # straight-line code, never across a page; its ops follow the header in memory
    u64 vpc
    u64 hpa
    u64 next_vpc                # address behind its last instruction
    u32 n                       # instructions
    u32 straddle                # bits of the one instruction of a block that crosses a page, else 0
    Block* hash_next
    Block* page_next            # blocks of the same frame
    Side* side                  # one per op, and one for the end

cdef struct Links:              # direct links to blocks of the same page; they stand right behind the block's last op, in an op's place
    Block* taken
    Block* fallthrough

cdef struct TlbEntry:           # a hit is (va & (page mask | size - 1)) == tag; host pointer = va + addend
    u64 rtag
    u64 wtag
    u64 xtag
    u64 addend

cdef struct SecondEntry:        # see second_level.pxi
    u64 page                    # its virtual address
    u64 epoch                   # Context.epoch of the content it belongs to
    u64 hpa
    u64 facts                   # PTE_R|W|X, and how many entries its walk read

cdef struct KnownTable:         # a table of the last level
    u64 key                     # the 2 MiB that it maps, and of which stage
    u64 epoch
    u64 hpa
    u64 gpa                     # where the guest has it; without a G-stage the same
    u64 reads                   # of entries, to come to it

cdef struct Context:            # one address space as one privilege sees it, with its translation cache
    u64 atp
    u64 gatp
    u64 mode
    u64 generation              # of the hart's flushes that its entries survive
    u64 epoch                   # unique to this content: ties the jump cache to it
    u64 used                    # for least-recently-used replacement
    bint has_superpage
    TlbEntry tlb[TLB_SIZE]

cdef struct Jump:
    u64 vpc
    u64 epoch
    Block* block
    u64 pad

cdef struct InterruptFile:      # see imsic.pxi
    bint delivery
    u64 threshold
    u64 pending[FILE_WORDS]
    u64 enabled[FILE_WORDS]

cdef struct HartState:
    u64 x[96]                   # the integer registers, the sink, and from F_BASE on the floating-point registers
    TlbEntry* tlb               # the data context's
    u64 fetch_epoch             # the fetch context's
    Jump* jump
    u64 pc
    i64 left                    # steps until `stop`, valid outside the handlers
    u64 stop                    # the step at which left is 0
    Block** link_from           # the link to set once the next block is found
    MemState* mem
    TraceState* trace           # what is recorded, or NULL
    u32 event
    bint timers_moved           # the run loop must find the next timer event afresh
    bint irq_check              # something changed that may let an interrupt through
    u64 privilege
    bint virtual
    bint has_h
    u64 top_mode                # the largest MODE of satp, vsatp and hgatp
    bint stale
    bint lends                  # see lent.pxi: whether a deprivileged guest's S-mode may use what is lent,
    bint lent_waits             # whether an interrupt waits for its SIE,
    u64 lent_sstatus            # its sstatus but for FS,
    u64 lent_values[5]          # sscratch, sepc, scause, stval, stvec,
    u64 lent_count              # and how often it did
    bint waiting
    bint float_on               # see float_state.pxi
    bint float_ready
    bint float_fast
    bint host_float             # the host's arithmetic may be used,
    bint host_fit               # and it rounds as it should
    u32 raised                  # flags of the operation at hand
    u64 reports_idle            # a WFI that is to sleep so many steps towards a timer is an exit first; 0: none is
    bint idle_reported          # this one has been
    u64 hosts
    u64 hart_id
    # clocks
    u64 steps
    u64 budget_end
    u64 idle_steps
    u64 guest_traps
    u64 steps_per_tick
    u64 mtimecmp
    u64 mtime_offset
    u64 lines                   # interrupt wires, as mip bits
    u64 reservation
    # the performance counters: see hpm.pxi
    u64 hpm_armed
    u64 hpm_running
    u64 hpm_base[EVENT_TRAPS + 1]
    # the waiting exception
    u64 fault_cause
    bint fault_interrupt
    u64 fault_tval
    u64 fault_gpa
    bint fault_guest            # guest-page fault: fault_gpa counts
    int fault_implicit          # raised by an access to a page-table entry: PTE_READ or PTE_WRITE
    bint fault_gva              # tval is a guest virtual address
    u64 fault_tinst
    u32 fault_insn
    u64 fault_target
    # the waiting device access
    u64 mmio_address
    u64 mmio_size
    u64 mmio_value
    u64 mmio_va
    bint mmio_gva               # mmio_va is a guest virtual address
    bint mmio_store
    bint mmio_signed
    u64 mmio_rd
    u64 mmio_length             # of the instruction
    # address spaces
    Context* data_context
    Context* fetch_context
    Context* contexts
    u64 generation
    u64 epoch
    u64 use_clock
    int pmp_count               # entries up to the last one in use
    bint pmp_open               # entry 0 grants everything to everyone
    u64 walked[WALK_LIMIT]      # physical addresses of the entries the current walk read
    int n_walked
    u64 reads_saved             # reads that it did not have to do
    int n_passed                # tables of the last level that it read
    KnownTable passed[PASSED_LIMIT]
    SecondEntry* second
    KnownTable tables[TABLES_SIZE]
    u64 walk_perms              # PTE_R|W|X that the leaf, or both leaves, allow; PTE_D where a store may be cached
    bint walk_superpage
    bint looking                # the walk is a debugger's: it sets no A and no D
    # triggers
    bint watching               # some trigger is armed for loads or stores
    bint breaking               # some trigger is armed for instructions
    u64 tdata1[N_TRIGGERS]
    u64 tdata2[N_TRIGGERS]
    u64 tdata3[N_TRIGGERS]
    # counts
    u64 tlb_misses
    u64 walks
    u64 walk_reads
    # debugging
    int n_breakpoints
    u64 breakpoints[MAX_BREAKPOINTS]
    u64 reported_pc             # the last breakpoint reported, and when: going on from there runs past it
    u64 reported_step
    int until_kind              # the run ends when what these say has another value than
    u64 until_number
    u64 until_before            # at its start: see watch.pxi
    # one-instruction block for exact stops
    Block scratch
    Op scratch_ops[3]
    Side scratch_side[3]
    u64 csr[4096]
    u64 csr_mask[4096]          # bits that software can change by plain masking
    u8 has_csr[4096]
    u8 enabled[N_EXTENSIONS]    # by extension id: which this hart has
    # advanced interrupts: see imsic.pxi and aia.pxi
    bint aia
    u64 guest_files
    u64 n_files                 # M's, S's and the guests' interrupt files; 0 without an IMSIC
    InterruptFile files[2 + GUEST_FILES]
    u8 iprio[2][64]             # priority numbers of interrupts that M-mode (0) and S-mode (1) take

cdef struct Watch:              # a range of RAM that the host watches
    u64 first
    u64 last
    int kinds                   # LOADS, STORES

cdef struct Hit:                # the first access to a watched range since the host was told of one
    bint waits                  # for the host to be told
    bint is_placed              # pc is known
    bint is_store
    i64 hart                    # that did it; -1: none
    u64 pc
    u64 step                    # before the step that it belongs to, if the hart left that before its end; else 0
    u64 address                 # from the first byte that is watched to the last
    u64 size
    u64 before                  # what they held, the first 8 of them

cdef struct TableNote:          # see notes.pxi
    u64 step                    # of all harts together, before the step that did it
    i64 hart                    # that did it; -1: none
    u64 kind
    u64 where
    u64 before

cdef struct MemState:
    u8* ram
    u64 base
    u64 size
    u8* flags
    u8* dirty
    Block** page_blocks
    u64** pte_used              # per frame: a bitmap of the entries that cached translations derive from
    u64* pt_frames
    u64 n_pt_frames
    u64 pt_capacity
    HartState* harts[MAX_HARTS]
    int n_harts
    Block** hash
    char* chunks[ARENA_CHUNKS]
    int n_chunks
    u64 chunk_used
    Watch* watches
    int n_watches
    Hit hit
    TableNote* notes            # a ring of the last NOTES; NULL: nobody wants any
    u64 n_notes                 # taken so far
    u64 first_note              # the oldest that is still there
    bint takes_notes            # now
    bint notes_walks            # now, and the tables that the harts walk are the guest's
    bint notes_kept_by_walks
    u32* table_stores           # by frame: stores to a table since a walk used it
