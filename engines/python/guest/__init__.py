"""What runs inside the Python engine: imported once when the engine is built, and part of its snapshot."""
