"""What asks for a person: reviews, written in the transaction of the verdicts that they are about."""
