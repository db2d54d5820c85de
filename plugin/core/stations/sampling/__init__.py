"""Covariates at stations and days."""
