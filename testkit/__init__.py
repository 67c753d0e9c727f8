"""One black-box harness: start a worker, send events, read what comes of them, settle the account.

The demo, the load tests and the integration tests stand on it. It speaks Kafka and HTTP, and knows the wire only.
"""
