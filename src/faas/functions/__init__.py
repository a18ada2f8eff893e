"""Functions: registering, changing and finding them, and what becomes of their compilation."""
