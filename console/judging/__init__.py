"""Requests to classifications: a bounded queue, one classifier in a thread of its own, verdicts."""
