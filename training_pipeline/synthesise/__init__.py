"""Conversations written by an LLM for a taxonomy: drawn from a seeded grid, screened, and judged by a labeller."""
