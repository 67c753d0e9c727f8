"""Forget chats: tombstones for whatever names one, and the list of those that were forgotten."""
