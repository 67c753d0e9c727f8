"""An in-memory twin of a Kafka broker and its clients, as far as the worker uses them.

The tests beside it run each behaviour on the twin and on a real broker, so that the twin cannot drift. Time
does not pass in the twin: an empty poll returns at once. Clients raise and return confluent_kafka's own classes.
"""
