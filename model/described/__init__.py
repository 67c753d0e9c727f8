"""Classes from descriptions: a frozen sentence encoder, and a linear head that is fitted in numpy."""
