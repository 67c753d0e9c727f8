"""What asking the pipeline can fail with."""


class PipelineAway(Exception):  # noqa: N818  the name says what happened
    """Kafka or Redis does not answer now, or refuses; nothing was written. Its text names the cause, no chat text."""
