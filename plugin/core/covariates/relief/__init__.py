"""Terrain covariates from a DEM."""
