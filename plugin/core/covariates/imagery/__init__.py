"""Indices of optical and thermal images."""
