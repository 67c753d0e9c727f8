"""Black-box measurements of the worker: speaks Kafka, Redis and HTTP to it, and knows none of its code.

How each number is taken is told in README.md beside this file.
"""
