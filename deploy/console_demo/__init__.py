"""`make console`: the console over a pipeline that lives as long as it: real Kafka, Redis and worker, sample chats.

Invariant: worker and console are child processes like in production; of the worker's code only its settings are read.
"""
