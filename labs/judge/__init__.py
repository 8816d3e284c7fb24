"""The trusted side: it runs the guest, asks the student's code for each decision, and judges what came of it."""
