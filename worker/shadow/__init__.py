"""A second bundle that judges the same chats for a topic of its own, before it is promoted."""
