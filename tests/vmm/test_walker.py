"""The Python walk decides as the hart's walker does."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from hartvisor.core.hart import HOST_M, Hart, Memory
from hartvisor.core.isa import causes
from hartvisor.core.isa.paging import PTE_A, PTE_D, PTE_R, PTE_U, PTE_V, PTE_W, PTE_X
from hartvisor.core.vmm.csr_file import SATP, SSTATUS, SSTATUS_MXR, SSTATUS_SUM
from hartvisor.core.vmm.walker import ACCESS_FAULT, FETCH, LOAD, PAGE_FAULT, STORE, Walk, walk

BASE = 0x8000_0000
ROOT, MIDDLE, LEAVES, PAGE = (BASE + n * 0x1000 for n in range(4))
SATP_VALUE = 8 << 60 | ROOT >> 12
GVA = 0x4020_3456
POINTER = PTE_V
USER_PAGE = PTE_V | PTE_R | PTE_W | PTE_X | PTE_U | PTE_A | PTE_D


def machine() -> Memory:
    return Memory(64 << 12, base=BASE)


def build(memory: Memory, root: int, middle: int, leaf: int) -> None:
    """Store the three entries on GVA's way."""
    memory.store(ROOT + (GVA >> 30 & 511) * 8, 8, root)
    memory.store(MIDDLE + (GVA >> 21 & 511) * 8, 8, middle)
    memory.store(LEAVES + (GVA >> 12 & 511) * 8, 8, leaf)



def walk_in(memory: Memory, access: int, user: bool, sum_: bool = False, mxr: bool = False, gva: int = GVA) -> Walk:
    def load_pte(gpa: int) -> int | None:
        return memory.load(gpa, 8) if memory.contains(gpa, 8) else None

    return walk(load_pte, SATP_VALUE, gva, access, user, sum_, mxr)


def three_levels(memory: Memory, leaf_flags: int) -> None:
    build(memory, MIDDLE >> 2 | POINTER, LEAVES >> 2 | POINTER, PAGE >> 2 | leaf_flags)


def test_records_every_entry_it_visits() -> None:
    memory = machine()
    three_levels(memory, USER_PAGE)
    found = walk_in(memory, STORE, user=True)
    assert found.cause is None
    assert found.gpa == PAGE | GVA & 0xFFF
    assert found.level == 0
    assert [pte for _, pte in found.levels] == [MIDDLE >> 2 | POINTER, LEAVES >> 2 | POINTER, PAGE >> 2 | USER_PAGE]


def test_satp_bare_is_the_identity() -> None:
    assert walk(lambda gpa: None, 0, GVA, LOAD, user=False).gpa == GVA


def test_a_table_outside_ram_is_an_access_fault_of_the_original_access() -> None:
    memory = machine()
    build(memory, 0x1000_0000 >> 2 | POINTER, 0, 0)
    for access in (FETCH, LOAD, STORE):
        assert walk_in(memory, access, user=True).cause == ACCESS_FAULT[access]


def test_a_gva_that_is_not_sign_extended_faults() -> None:
    memory = machine()
    three_levels(memory, USER_PAGE)
    found = walk_in(memory, LOAD, user=True, gva=GVA | 1 << 38)
    assert found.cause == causes.LOAD_PAGE_FAULT
    assert found.levels == ()


def test_supervisor_never_executes_user_pages() -> None:
    memory = machine()
    three_levels(memory, USER_PAGE)
    assert walk_in(memory, LOAD, user=False, sum_=True).cause is None
    assert walk_in(memory, FETCH, user=False, sum_=True).cause == PAGE_FAULT[FETCH]


flags = st.integers(0, 255).map(lambda low: low | PTE_V)
entry = st.one_of(
    st.sampled_from([MIDDLE, LEAVES, PAGE, 0x1000_0000]).flatmap(lambda at: flags.map(lambda low: at >> 2 | low)),
    st.sampled_from([MIDDLE >> 2 | POINTER, LEAVES >> 2 | POINTER, BASE >> 2 | USER_PAGE, PAGE >> 2 | USER_PAGE]),
    st.integers(0, (1 << 64) - 1))


@given(entry, entry, entry, st.sampled_from([FETCH, LOAD, STORE]), st.booleans(), st.booleans(), st.booleans())
@settings(max_examples=400, deadline=None)
def test_decides_as_the_hart_does(root: int, middle: int, leaf: int, access: int, user: bool, sum_: bool,
                                  mxr: bool) -> None:
    memory = machine()
    build(memory, root, middle, leaf)
    hart = Hart(memory, has_h=False, hosts=HOST_M)
    hart.privilege = 0 if user else 1
    hart.write_csr(SATP, SATP_VALUE)
    hart.write_csr(SSTATUS, (SSTATUS_SUM if sum_ else 0) | (SSTATUS_MXR if mxr else 0))
    hpa, cause = hart.translate(GVA, access)
    found = walk_in(memory, access, user, sum_, mxr)
    assert found.cause == (cause or None)
    if not cause:
        assert found.gpa == hpa
