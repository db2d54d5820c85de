"""The science and the life cycle of the plugin."""
