"""POST /v1alpha1/comments:analyze: Perspective's API, so that its clients need no change but the address."""

from console.perspective.route import router_of

__all__ = ["router_of"]
