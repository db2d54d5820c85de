"""Metrics, tests, importance and reports."""
