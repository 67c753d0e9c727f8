"""The same classifier over HTTP: judge now, without a stream.

`python -m console serve` needs a bundle and nothing else: neither Kafka nor Redis.
"""
