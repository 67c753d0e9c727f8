"""The port's safety: who may ask, from where, how much, and what of it is logged."""
