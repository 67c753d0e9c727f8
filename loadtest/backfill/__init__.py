"""The same events through the worker, the command over Parquet and the Spark job: equal verdicts, and how fast."""
