"""Signing in: a password and a second step (django-allauth), how often one may try, and how long a session lasts."""
