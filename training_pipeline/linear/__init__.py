"""The linear stage: word and character n-grams, one logistic regression; a baseline, and a teacher beside networks."""
