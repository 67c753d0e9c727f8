"""Settings: read once, frozen, passed by hand."""
