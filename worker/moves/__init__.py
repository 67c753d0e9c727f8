"""How verdicts moved between categories and between decisions: counts, and the tables that show them."""
