"""Where everything lies: the memory map of QEMU's `virt` board, as far as Hartvisor has its devices.

The virtual machines and the bare machine share it, so a guest finds the same board everywhere. Addresses are
physical: the guest's gpa under the hypervisor, hpa on the bare machine. Sizes are in bytes.
"""

from dataclasses import dataclass

MIB = 1 << 20
PAGE_SIZE = 4096


@dataclass(frozen=True)
class Region:
    """A named range of physical addresses.

    irq: the PLIC source that the device in it drives, None where it drives none.
    """

    name: str
    base: int
    size: int
    irq: int | None = None

    @property
    def end(self) -> int:
        """The first address behind the region."""
        return self.base + self.size

    def overlaps(self, other: "Region") -> bool:
        """Whether the two share an address."""
        return self.base < other.end and other.base < self.end

    def __str__(self) -> str:
        return f"{self.name} at {self.base:#x}-{self.end - 1:#x}"


#: Where the harts come out of reset.
RESET_ROM = Region("reset ROM", 0x1000, 0xF000)
TEST_FINISHER = Region("test finisher", 0x10_0000, 0x1000)
RTC = Region("RTC", 0x10_1000, 0x1000, irq=11)
ACLINT = Region("ACLINT", 0x200_0000, 0x1_0000)
PLIC = Region("PLIC", 0xC00_0000, 0x60_0000)
#: Instead of the PLIC, where a machine has the AIA: the domains of M-mode and S-mode, of up to 512 harts.
APLIC_M = Region("APLIC M", 0xC00_0000, 0x8000)
APLIC_S = Region("APLIC S", 0xD00_0000, 0x8000)
UART = Region("UART", 0x1000_0000, 0x100, irq=10)
#: The eight virtio-mmio slots; those without a device are there all the same, as on QEMU.
VIRTIO = tuple(Region(f"virtio {slot}", 0x1000_1000 + 0x1000 * slot, 0x1000, irq=1 + slot) for slot in range(8))
FW_CFG = Region("fw_cfg", 0x1010_0000, 0x18)
#: The harts' interrupt files, a page each: M-mode's; S-mode's, each followed by those of its guests. How many pages
#: there are is the machine's to say.
IMSIC_M = Region("IMSIC M", 0x2400_0000, PAGE_SIZE)
IMSIC_S = Region("IMSIC S", 0x2800_0000, PAGE_SIZE)
RAM_BASE = 0x8000_0000

#: What a VM has, and the bare machine under the built-in SBI: equal boards, hence one device tree for all techniques.
VM_BOARD = (TEST_FINISHER, PLIC, UART, *VIRTIO)
#: What firmware finds on the bare machine.
FIRMWARE_BOARD = (*VM_BOARD, ACLINT, RTC, FW_CFG, RESET_ROM)

#: The device tree keeps this much at the top of RAM, and begins at a multiple of it.
DEVICE_TREE_SPACE = 2 * MIB
#: Room for firmware and kernel at their usual places, and the device tree.
MIN_MEMORY = 2 * DEVICE_TREE_SPACE


def ram(size: int) -> Region:
    """RAM of `size` bytes."""
    return Region("RAM", RAM_BASE, size)


def device_tree_region(memory_size: int) -> Region:
    """Where the device tree lies in RAM of `memory_size` bytes."""
    top = RAM_BASE + memory_size
    base = (top - DEVICE_TREE_SPACE) // DEVICE_TREE_SPACE * DEVICE_TREE_SPACE
    return Region("device tree", base, DEVICE_TREE_SPACE)
