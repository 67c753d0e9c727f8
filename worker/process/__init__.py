"""The process: signals and exit codes, health, logs, metrics, memory and niceness."""
