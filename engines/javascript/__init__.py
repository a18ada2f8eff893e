"""The JavaScript engine: QuickJS of the npm package quickjs-wasi, with a shim and a prelude. See build.py."""
