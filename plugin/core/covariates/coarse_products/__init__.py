"""Coarse satellite moisture and its grids."""
