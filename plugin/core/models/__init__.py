"""Forests, calibrated intervals, spiking and the model file."""
