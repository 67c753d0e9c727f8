"""POST /v1/moderations: the moderation endpoint of OpenAI's API, so that its clients need no change."""

from console.moderations.route import router_of

__all__ = ["router_of"]
