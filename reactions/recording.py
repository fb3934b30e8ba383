"""The verbs people do."""
