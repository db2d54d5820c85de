"""Menu entries and dialogs."""
