"""Fitting what answers early: the first stage and the exits inside the transformer."""
