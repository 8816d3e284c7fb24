"""Live migration between two sides, over links that are cut, slow and damaged."""
