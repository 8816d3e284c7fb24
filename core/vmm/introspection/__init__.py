"""Looking into a guest from outside, by what it says of itself: its symbols, its DWARF, its BTF. In the manner of
LibVMI; the guest cannot tell."""
