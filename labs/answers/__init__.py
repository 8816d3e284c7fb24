"""The reference answers. A course is shipped to students without this folder (`hartvisor lab handout`)."""
