"""Applied migrations never change: databases compare their hashes at every start, and restores compare them too."""

import hashlib

import pytest

from faas.database.migrations import files

# A released migration is added here, and its line is never edited.
RELEASED_SHA256 = {
    "0001_functions": "0c5f2345d736128405a11479076eec61ef6a4cb28d5ec24ec9f2d466369fb61a",
    "0002_executions": "e9d7248be109eaddec7d7e82d920b4d0ef35b3472b0ea40af4f9f35b52cd6340",
    "0003_queues": "6f49451613cf549d38d7f452750416b45509997967b37e51454ac307aceab1ab",
    "0004_failed_executions": "56ce8cb2c8087f7150434d410654de68285d78b5f9272a07bfae2802570d01e2",
    "0005_revisions": "eed5cff0e9cc233e0022d3a83608845c6e946a941fbacc2dd478d1d06bee8b7f",
    "0006_retention": "2b8b465d9b0187b2aeef5b788b44aae4ea22ef78ed7b008f2ea4054f5f0d9721",
    "0007_access": "96f2c4138920480c4d230c7a9f3d4af17bf5674504b38351a961725dc1ddcc0b",
    "0008_reach": "74a7ce02c998587c8824ead31a163b041bd8cfbbb4a5065e73b4c1d86b79bcb2",
    "0009_secrets": "1f96b87d1d345e9d58bda70bf030e2bc60f897bb7c3769087ad66d7a741aecf2",
}


@pytest.mark.parametrize("name", RELEASED_SHA256)
def test_migration_released_content_is_unchanged(name: str) -> None:
    (file,) = (file for file in files() if file.stem == name)
    assert hashlib.sha256(file.read_bytes()).hexdigest() == RELEASED_SHA256[name]
