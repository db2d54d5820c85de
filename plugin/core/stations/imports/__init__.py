"""Readings from archives and loggers."""
