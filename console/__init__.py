"""The same classifier over HTTP, and pages for people over the pipeline.

`python -m console serve` needs a bundle. Only where `pipeline.is_on` does it know Kafka, Redis and a database.
"""
