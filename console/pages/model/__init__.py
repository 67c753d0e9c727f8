"""/model: the served bundle's card and calibration, drift of the traffic, a shadow's agreement, and the registry."""

from console.pages.model.route import add

__all__ = ["add"]
