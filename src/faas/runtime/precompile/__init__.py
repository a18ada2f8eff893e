"""Precompiling modules: WebAssembly to native code in confined worker processes, with a cache on disk."""
