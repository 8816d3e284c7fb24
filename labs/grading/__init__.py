"""A whole class: submissions found, graded on a cluster, kept, and reported."""
