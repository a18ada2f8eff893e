"""Compiling: the compilation_jobs handler, and the compilers, one file per language."""
