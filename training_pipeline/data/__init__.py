"""From raw chats to labelled, split chats: extract, preprocess, label, agree, split. No torch in here."""
