"""QGIS-free science: rasters, covariates, stations, models, mapping and evaluation."""
