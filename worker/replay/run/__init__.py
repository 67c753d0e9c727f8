"""Running a replay: its consumer, publisher, progress and throttle."""
