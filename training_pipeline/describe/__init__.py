"""Classes from descriptions: the frozen encoder that ships, and the command that fits a head on it."""
