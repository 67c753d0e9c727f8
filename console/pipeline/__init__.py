"""The pipeline as the console sees it: Kafka and Redis, through the worker's rooms, for all that stands above."""
