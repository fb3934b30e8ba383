"""Estimates with their intervals. Pure."""
