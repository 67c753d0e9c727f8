"""Corrections that teach: reports joined with their events, votes turned into labels, and what they do to a bundle."""
