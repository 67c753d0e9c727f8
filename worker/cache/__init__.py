"""The verdict cache in Redis: what stands in a chat's key, who may write it, and what a reader believes of it."""
