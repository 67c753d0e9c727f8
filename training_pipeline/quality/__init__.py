"""Figures of a bundle on labelled chats, and whether its guarantee holds."""
