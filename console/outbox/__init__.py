"""Sends what stands in the outbox: decisions and reports to their topics, answers on appeals to their callers."""
