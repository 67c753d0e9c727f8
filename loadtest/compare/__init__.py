"""The worker beside its baselines and peers on the same chats: interleaved timed runs and their ratios."""
