"""Training chats changed anew in each epoch, so that what must not move the answer is seen often and never by heart."""
