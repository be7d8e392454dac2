"""Backups: their form, taking them, putting them back."""
