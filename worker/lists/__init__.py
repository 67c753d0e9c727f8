"""Allow and deny lists: a file, watched, that names chats and users."""
