"""Verdicts on archived chats, without Kafka and Redis: Parquet files in, Parquet files out.

`archive_judge` decides, and imports nothing but the classifier. `columns` and `outcome_table` translate Arrow tables
for it; the command line here and the Spark job (`deploy/spark`) use the same two, so that both give the same rows.
"""
