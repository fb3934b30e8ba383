"""The verbs people do with a patient."""
