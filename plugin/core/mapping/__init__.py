"""Block-wise prediction over rasters."""
