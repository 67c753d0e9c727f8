"""The folder that a model travels in: reading, digests, signatures, the registry and policy files."""
