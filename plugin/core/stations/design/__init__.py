"""Which stations to spike with, and where to put new ones."""
