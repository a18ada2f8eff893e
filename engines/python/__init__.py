"""The Python engine: CPython for WASI out of the wheel of componentize-py, started and snapshotted. See build.py."""
