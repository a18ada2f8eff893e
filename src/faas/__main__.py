"""The `faas` command: `.venv/bin/faas` and `python -m faas`."""

from faas.cli import main

if __name__ == "__main__":
    main()
