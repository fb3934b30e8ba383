"""The one way an email leaves."""
