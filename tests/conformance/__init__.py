"""Every row of the instruction and the CSR tables against something that is not ours.

`test_rows.py` runs each instruction row, and `test_csrs.py` each CSR row, on QEMU 10 and on our hart;
`test_instructions.py`, `test_float.py` and `test_csr_access.py` hold them to plain models written from the manual. Each
asserts that the rows it went through are those of the table.
"""
