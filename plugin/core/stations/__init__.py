"""Stations: import, observation tables, matching, splits and the spiking design."""
