"""The instruction set as data: instructions, CSRs, causes and paging formats, and the tools that read those tables."""
