"""The worker's job on other Python stream processors, with the same bundle, as `compare` measures it.

Each is a program of its own, run by the interpreter of `loadtest.compare.peer_environment`, where its framework is
installed.
They are the only part of `loadtest` that imports `model`: they stand where the worker stands.
"""
