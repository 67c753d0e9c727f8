"""Figures for people: intervals, what a policy promises, reliability, drift. Pure."""
