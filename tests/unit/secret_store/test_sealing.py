"""Sealing: what opens a sealed value, and what does not."""

import hashlib

import msgspec
import pytest

from faas.secret_store.sealing import KEY_BYTES, Binding, SealingKey

BINDING = Binding(name="STRIPE_KEY", hosts=("https://api.stripe.com",), functions=("orders-*",))
KEY = SealingKey(bytes(range(KEY_BYTES)))


@pytest.mark.parametrize("value", ["x", "a\nb", "é\U0001f600", "x" * 65536])
def test_seal_opens_to_the_same_value(value: str) -> None:
    assert KEY.open(KEY.seal(value, BINDING), BINDING) == value


@pytest.mark.parametrize("value", ["x" * 32, "y" * 65536])
def test_seal_hides_the_value(value: str) -> None:
    """Long enough that random bytes do not hold a part of it: eight given bytes are one chance in 2^64 per place."""
    sealed = KEY.seal(value, BINDING)
    assert value[:8].encode() not in sealed


def test_seal_of_the_same_value_differs_each_time() -> None:
    assert len({KEY.seal("same", BINDING) for _ in range(100)}) == 100


@pytest.mark.parametrize(
    "change",
    [
        {"name": "OTHER"},
        {"hosts": None},
        {"hosts": ("https://evil.example",)},
        {"hosts": ("https://api.stripe.com", "https://evil.example")},
        {"functions": ("*",)},
        {"functions": ()},
        {"hosts": ("orders-*",), "functions": ("https://api.stripe.com",)},
    ],
)
def test_seal_does_not_open_for_another_binding(change: dict[str, object]) -> None:
    sealed = KEY.seal("value", BINDING)
    assert KEY.open(sealed, msgspec.structs.replace(BINDING, **change)) is None
    assert KEY.open(sealed, BINDING) == "value"


def test_seal_opens_for_a_binding_that_the_database_returned() -> None:
    """The lists of the driver are equal to the tuples that were sealed."""
    sealed = KEY.seal("value", BINDING)
    assert KEY.open(sealed, Binding(name="STRIPE_KEY", hosts=["https://api.stripe.com"], functions=["orders-*"]))


def test_seal_does_not_open_with_another_key() -> None:
    assert SealingKey.generate()[0].open(KEY.seal("value", BINDING), BINDING) is None


def test_seal_does_not_open_when_any_byte_is_changed_or_missing() -> None:
    sealed = KEY.seal("value", BINDING)
    for at in range(len(sealed)):
        assert KEY.open(sealed[:at] + bytes([sealed[at] ^ 1]) + sealed[at + 1 :], BINDING) is None, at
        assert KEY.open(sealed[:at], BINDING) is None, at


def test_sealing_key_id_names_the_key_and_does_not_reveal_it() -> None:
    key, content = SealingKey.generate()
    assert SealingKey(content).id == key.id != KEY.id
    assert len(key.id) == 16
    assert key.id not in {content.hex()[:16], hashlib.sha256(content).hexdigest()[:16]}
    assert content.hex() not in repr(vars(key))


@pytest.mark.parametrize("length", [0, 16, 31, 33])
def test_sealing_key_has_one_length(length: int) -> None:
    with pytest.raises(ValueError, match=f"the key has {length} bytes, not 32"):
        SealingKey(bytes(length))
