"""Taking over a new bundle or policy while the worker runs."""
