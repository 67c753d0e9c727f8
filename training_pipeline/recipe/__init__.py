"""A recipe: stages in order, each skipped where nothing that it reads has changed."""
