"""`POST /v1/feedback`: somebody reports a verdict as wrong."""

from console.feedback.route import router_of

__all__ = ["router_of"]
