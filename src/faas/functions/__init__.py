"""Functions: creating, changing, finding and deleting them, and applying the results of their compilation."""
