"""The first stage, which answers plain chats before the transformer sees them."""
