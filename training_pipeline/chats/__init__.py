"""Labelled chats: reading, licences, splits and the record of what a run saw."""
