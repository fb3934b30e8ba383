"""Celery entry points: load ids, call one function."""
