"""Grids, windows, reading by name and atomic writing; the only package that imports rasterio."""
