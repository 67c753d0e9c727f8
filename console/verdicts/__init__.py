"""`GET /v1/verdicts/{chat_id}`: what the pipeline says of a chat."""

from console.verdicts.route import router_of

__all__ = ["router_of"]
