"""WebAssembly to native code, in a confined process; a cache on disk."""
