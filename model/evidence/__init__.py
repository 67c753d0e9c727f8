"""What each part of a chat says: pieces, disguises, languages, and the rule that joins them."""
