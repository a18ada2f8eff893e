"""No representation of what holds a value shows it."""

import io

import pytest
from rich.console import Console
from rich.pretty import pretty_repr

from faas.api.schemas import SecretPutRequest
from faas.secret_store.model import ResolvedSecret


@pytest.mark.parametrize(
    "holder",
    [
        ResolvedSecret("topsecret", ("https://a",)),
        SecretPutRequest(value="topsecret", hosts=["https://a"], functions=["f"]),
    ],
)
def test_value_is_in_no_representation(holder: object) -> None:
    written = io.StringIO()
    Console(file=written).print(holder, {"x": [holder]})
    for text in (repr(holder), str(holder), f"{holder}", f"{[holder]}", pretty_repr(holder), written.getvalue()):
        assert "topsecret" not in text
        assert "https://a" in text
