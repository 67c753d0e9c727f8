"""`/v1/reviews`: the queue for programs, and its export."""

from console.reviews.route import router_of

__all__ = ["router_of"]
