"""The review queue's rules: order, claims, answers, second opinions, gold items, samples, agreement."""
