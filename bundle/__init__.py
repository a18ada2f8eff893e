"""Builds dist/faas: one executable that carries the whole product. See docs/decisions/0011-one-file.md."""
