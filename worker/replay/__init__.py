"""Replay and backfill: judge records again, between two fixed offsets, by as many processes as there are partitions."""
