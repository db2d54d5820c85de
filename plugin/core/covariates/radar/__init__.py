"""Sentinel-1 backscatter."""
