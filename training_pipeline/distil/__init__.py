"""Smaller, faster students: soft labels of the best models, fewer layers, a smaller vocabulary, both axes measured."""
