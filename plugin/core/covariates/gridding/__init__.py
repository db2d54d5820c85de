"""Rasters put onto one grid."""
