"""What people decide: followed by every worker, answered by the owner of the chat's partition, set by a command."""
