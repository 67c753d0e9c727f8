"""One load at a given rate: schedule, sender, reader and what was measured."""
