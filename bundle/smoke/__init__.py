"""End-to-end tests of what is shipped: dist/faas and the wheel (`make smoke`)."""
