"""Records that cost far more than their size says, and what they do to a worker."""
