"""Postgres: the embedded server, the connection pool, the migrations and the named statements."""
