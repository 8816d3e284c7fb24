"""Devices, one file each: registers at offsets, an interrupt line, save and restore.

A device knows no base address and no hart.
"""
