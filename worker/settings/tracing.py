"""Whether batches are traced, and where their spans go."""

from typing import Self
from urllib.parse import urlsplit

from pydantic import Field, model_validator

from worker.settings.section import Section


class TracingSettings(Section):
    """One span for each sampled batch, with links to the traces of its records; over OTLP/HTTP."""

    endpoint: str | None = Field(
        default=None,
        description="Where spans are sent, as in http://collector:4318/v1/traces; needs the extra `tracing`. A login "
        "goes into OTEL_EXPORTER_OTLP_HEADERS. Unset: nothing is traced.",
    )
    sample_ratio: float = Field(default=0.01, ge=0, le=1, description="Share of the batches that are traced.")
    timeout_s: float = Field(
        default=3.0, gt=0, le=60, description="Longest wait for the collector; a batch never waits for it."
    )

    @model_validator(mode="after")
    def _endpoint_is_an_address(self) -> Self:
        if self.endpoint is not None:
            parts = urlsplit(self.endpoint)
            if parts.scheme not in ("http", "https") or not parts.hostname or parts.username is not None:
                raise ValueError(
                    "endpoint is no address of a collector; expected http://HOST:4318/v1/traces without a login; set "
                    "OTEL_EXPORTER_OTLP_HEADERS for that"
                )
            # It is used as it is: a collector answers 404 there, and every span is lost.
            if parts.path in ("", "/"):
                raise ValueError("endpoint has no path; expected that of the traces, too: http://HOST:4318/v1/traces")
        return self
