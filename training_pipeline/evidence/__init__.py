"""Fitting what pieces of a chat count, on mixtures of chats."""
