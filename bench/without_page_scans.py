"""The command `faas` as on a kernel without PAGEMAP_SCAN: every call of a function of an engine has a fresh instance.

python -m bench.without_page_scans serve ...
"""

from unittest import mock

from faas.cli import main

if __name__ == "__main__":
    with mock.patch("faas.runtime.kept_instances.open_scanner", return_value=None):
        main()
