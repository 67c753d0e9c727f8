"""`/v1/appeals`: somebody objects to a verdict, and is told the answer."""
