"""What a replay covers: the request, its offsets, and the plan that all its processes share."""
