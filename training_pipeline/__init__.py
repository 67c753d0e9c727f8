"""Offline: from labelled chats to a bundle, one file per stage."""
