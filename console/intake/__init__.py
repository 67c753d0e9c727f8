"""From the topics into the database: reviews, samples, counts and erasures."""
