"""Secrets: set by operators, sealed in the database, opened for the executions of the functions that they admit."""
