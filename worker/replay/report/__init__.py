"""The account of a replay."""
