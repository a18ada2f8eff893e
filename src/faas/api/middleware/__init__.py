"""ASGI middleware around the API."""
