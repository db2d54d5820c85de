"""Series of dated rasters."""
