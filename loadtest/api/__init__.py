"""The HTTP API under load: closed loops of clients, against the bare classifier and other servers."""
