"""`/v1/reviews`: the queue for programs, and its export."""
