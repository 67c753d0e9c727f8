"""Into service and back: the gate, the registry's pointer, the commands."""
