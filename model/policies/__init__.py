"""Many policies over one reading of a chat: whose word counts, and what each policy says."""
