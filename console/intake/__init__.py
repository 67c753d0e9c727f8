"""From the topics into the database: reviews, samples, counts and erasures.

Invariant: what a record becomes, and the offset behind it, are written in one transaction.
"""
