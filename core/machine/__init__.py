"""The board around the harts: memory map, bus, guest images, device tree, and the bare machine itself."""
