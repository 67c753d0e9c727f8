"""POST /v1/classify: conversations in, verdicts out."""

from console.classify.route import router_of

__all__ = ["router_of"]
