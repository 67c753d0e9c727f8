"""`make demo`: the whole system once, on this machine, with real Kafka, real Redis and a real worker process.

Invariant: the worker is a child process like in production; nothing here imports it. Of the model only the readers of
bundle and policy are used, so that what a worker would refuse is told before anything is started.
"""
