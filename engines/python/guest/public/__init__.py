"""What faas gives functions beside the standard library."""
