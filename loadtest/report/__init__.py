"""Results as JSON, tables and pages."""
