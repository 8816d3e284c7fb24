"""Where students' Python runs: a child process that can compute, and talk to its parent, and nothing else."""
