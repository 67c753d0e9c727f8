"""`/v1/appeals`: somebody objects to a verdict, and is told the answer."""

from console.appeals.route import router_of

__all__ = ["router_of"]
