"""What network cards are wired to: peers, outside or in virtual time, and the capture of what passes."""
