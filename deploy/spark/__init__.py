"""Judge archives on many machines: a Spark job over the same code as `python -m model classify --parquet`."""
