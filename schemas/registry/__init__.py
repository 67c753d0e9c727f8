"""The contracts in a schema registry that speaks Confluent's REST API: `python -m schemas register`."""
