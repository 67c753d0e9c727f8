"""Conversation state: what was decided on a chat before, kept in Kafka and given to the next decisions."""
