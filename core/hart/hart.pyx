"""The hart: a RISC-V RV64 hardware thread interpreted in compiled code, and the RAM it runs from.  See hart.pyi for the interface.

One translation unit, in parts: the hot path must not cross a module's border.  ARCHITECTURE.md, "The hart", tells how they fit.
"""

cimport cython

from ..isa import codegen, extensions, hart_tables, paging, rows_float

include "isa_constants.pxi"
include "state.pxi"
include "memory.pxi"
include "caches.pxi"
include "pmp.pxi"
include "watch.pxi"
include "second_level.pxi"
include "notes.pxi"
include "walk.pxi"
include "translate.pxi"
include "decode.pxi"
include "aligned.pxi"
include "fusion.pxi"
include "blocks.pxi"
include "interrupts.pxi"
include "timers.pxi"
include "hpm.pxi"
include "imsic.pxi"
include "aia.pxi"
include "traps.pxi"
include "envcfg.pxi"
include "triggers.pxi"
include "aia_csr.pxi"
include "stateen.pxi"
include "float_state.pxi"
include "lent.pxi"
include "csr.pxi"
include "execute_integer.pxi"
include "execute_memory.pxi"
include "execute_bits.pxi"
include "execute_blocks.pxi"
include "softfloat.pxi"
include "softfloat_convert.pxi"
include "execute_float.pxi"
include "execute_float_host.pxi"
include "execute_system.pxi"
include "fused.pxi"
include "handlers.pxi"
include "handlers_float.pxi"
include "run.pxi"
include "exit.pxi"
include "interface.pxi"
include "saved.pxi"
include "trace.pxi"

load_tables()
load_interrupt_tables()
bind_handlers()
bind_float_handlers()
bind_fused()
