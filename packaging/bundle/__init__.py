"""Builds dist/faas: one executable that carries the whole product. See docs/decisions/0013-one-file.md."""
