"""Topics and rights of a deployment: as data, and the commands that put them into a cluster."""
