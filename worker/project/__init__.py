"""Put what the topics say into Redis: all of it on demand, or the part that a worker left owed."""
