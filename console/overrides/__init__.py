"""`/v1/overrides`."""
