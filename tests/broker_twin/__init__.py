"""An in-memory twin of a Kafka broker and its clients, as far as the worker uses them.

The tests beside it run each behaviour on the twin and on a real broker, so that the twin cannot drift. Nothing is
waited for in the twin: an empty poll returns within a millisecond. Clients raise and return confluent_kafka's classes.
"""
