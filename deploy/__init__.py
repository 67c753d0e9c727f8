"""How the system is run: container image, compose file and the embedded local stack.

Invariant: nothing here imports the worker, the model or any other folder of ours.
"""
