"""Splits and folds of stations."""
