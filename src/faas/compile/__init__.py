"""Compilation: the worker of the queue compilation_jobs, Wizer, and the compilers, one file for each language."""
