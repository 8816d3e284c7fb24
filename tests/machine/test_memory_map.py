"""The memory map."""

from __future__ import annotations

from itertools import combinations

import pytest

from hartvisor.core.machine import memory_map as m


def test_no_two_regions_share_an_address() -> None:
    for first, second in combinations([*m.FIRMWARE_BOARD, m.ram(16 << 30)], 2):
        assert not first.overlaps(second)


def test_a_region_overlaps_what_shares_its_last_byte_but_not_what_follows_it() -> None:
    region = m.Region("a", 0x1000, 0x100)
    assert region.overlaps(m.Region("b", 0x10FF, 1))
    assert not region.overlaps(m.Region("b", 0x1100, 1))
    assert not region.overlaps(m.Region("b", 0xFFF, 1))


def test_a_region_prints_its_name_and_addresses() -> None:
    assert str(m.UART) == "UART at 0x10000000-0x100000ff"


@pytest.mark.parametrize("size", [m.MIN_MEMORY, m.MIN_MEMORY + 4096, 128 << 20, (128 << 20) + 4096])
def test_the_device_tree_lies_in_the_top_of_ram_on_a_2_mib_boundary(size: int) -> None:
    region, ram = m.device_tree_region(size), m.ram(size)
    assert region.base % (2 << 20) == 0
    assert ram.base < region.base
    assert ram.end - (4 << 20) < region.base <= ram.end - (2 << 20)
    assert region.end <= ram.end
