"""Backup and restore: all data of faas in one file, made while the server runs and restored into an empty database."""
