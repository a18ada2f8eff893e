"""The embedded Postgres: its binaries, its server process, its PID file, and a new cluster for a restore."""
