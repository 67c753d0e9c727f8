"""Tables over the topics for SQL engines, from the JSON Schemas: `python -m schemas ddl`."""
