"""The enrichers, one file for each."""
