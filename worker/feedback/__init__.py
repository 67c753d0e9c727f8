"""Feedback from the shell: a report that a verdict is wrong, onto its topic."""
