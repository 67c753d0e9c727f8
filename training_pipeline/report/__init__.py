"""Stage 10: `evaluate` one model in depth, `compare` any number of them side by side, with reports for people."""
