"""Distances in the space of covariates."""
