"""Virtio devices on the memory-mapped transport (virtio 1.2): the transport, its queues, and one file a device.

Source: Virtual I/O Device (VIRTIO) Version 1.2, OASIS; sections are cited as "virtio 4.2.2".
"""
