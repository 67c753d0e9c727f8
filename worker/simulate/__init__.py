"""What another policy would have decided on the verdicts of a topic or a file."""
