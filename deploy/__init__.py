"""How the system is run: container image, compose file, the embedded local stack and the demo.

Invariant: nothing here imports the worker or the model; the demo reads what travels on the wire through `schemas`.
"""
