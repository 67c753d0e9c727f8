"""Workers that come and go, and replays beside live traffic."""
