"""What passes through the pipeline now, in memory: the newest verdicts, counts by minute, dead letters, lag.

Each console reads the topics for itself, in no group, so that any number of them stand side by side.

Invariant: no chat text is kept, and memory is bounded whatever the topics hold.
"""
