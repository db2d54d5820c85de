"""Covariates: terrain, temporal statistics and the covariate table."""
