"""Say what the topics tell of one chat, and why each of its decisions was taken."""
