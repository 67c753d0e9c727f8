"""`make demo`: the whole system once, on this machine, with real Kafka, real Redis and a real worker process.

Invariant: the worker is a child process like in production; nothing here imports the worker or the model.
"""
