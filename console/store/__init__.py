"""The database: SQLite for one machine, PostgreSQL for several consoles.

Invariants: no chat text stands in it. What a topic brought and the offset behind it are written in one transaction.
What is to be written to a topic stands in the outbox from the same transaction as what asks for it.
"""
