"""The course: handouts, starter code, checks and the grader."""
