"""Image modules: exactly one encoding of each image, and an error for everything else."""

import hashlib
import random
from collections.abc import Callable

import msgspec
import pytest
import wasmtime

from faas.runtime.images import Image, ImageError, Segment, build, carries_engine, engine_of, parse

ENGINE = hashlib.sha256(b"an engine").digest()
IMAGE = Image(
    engine=ENGINE,
    pages=300,
    segments=(Segment(0, b"first"), Segment(64, b"second" * 50), Segment(300 * 65536 - 1, b"!")),
    globals={"__stack_pointer": 4294967295, "heap": 0, "a b\n": 18446744073709551615},
    contract="lambda",
)


def with_(**changes: object) -> Image:
    return msgspec.structs.replace(IMAGE, **changes)


def custom(name: bytes, content: bytes) -> bytes:
    section = bytes((len(name),)) + name + content
    return bytes((0, len(section))) + section


@pytest.mark.parametrize(
    "image",
    [
        IMAGE,
        with_(segments=(), globals={}, contract="json"),
        with_(pages=1),
        with_(pages=65536, segments=(Segment(0x7FFF_FFFF, b"a"), Segment(0x8000_0001, b"b"), Segment(2**32 - 1, b"c"))),
        *(with_(segments=(Segment(offset, b"x"),)) for offset in (63, 64, 127, 128, 8191, 8192)),
    ],
)
def test_image_module_build_and_parse_are_inverse(image: Image) -> None:
    if image.pages == 1:
        image = msgspec.structs.replace(image, segments=image.segments[:2])
    assert parse(build(image)) == image


def test_image_module_is_valid_webassembly() -> None:
    wasmtime.Module.validate(wasmtime.Engine(), build(IMAGE))


def test_image_module_sets_the_memory_as_webassembly_defines_it() -> None:
    """The same segments as an engine of its own, with an export of its memory."""
    image = with_(pages=2, segments=(Segment(0, b"first"), Segment(8192, b"second"), Segment(131071, b"!")))
    export_section = b"\x07\x05\x01\x01m\x02\x00"
    binary = build(image)
    end_of_memory_section = 8 + 2 + binary[9]
    binary = binary[:end_of_memory_section] + export_section + binary[end_of_memory_section:]
    store = wasmtime.Store()
    memory = wasmtime.Instance(store, wasmtime.Module(store.engine, binary), []).exports(store)["m"]
    assert isinstance(memory, wasmtime.Memory)
    expected = bytearray(2 << 16)
    for segment in image.segments:
        expected[segment.offset : segment.offset + len(segment.data)] = segment.data
    assert bytes(memory.read(store)) == expected


@pytest.mark.parametrize(
    ("image", "reason"),
    [
        (with_(engine=ENGINE[:-1]), "31 bytes"),
        (with_(pages=0), "0 pages"),
        (with_(pages=65537), "65537 pages"),
        (with_(segments=(Segment(0, b""),)), "empty"),
        (with_(segments=(Segment(4, b"ab"), Segment(6, b"c"))), "touches"),
        (with_(segments=(Segment(4, b"ab"), Segment(0, b"c"))), "touches"),
        (with_(pages=299), "outside the memory"),
        (with_(globals={"g": -1}), "unsigned"),
        (with_(globals={"g": 2**64}), "unsigned"),
        (with_(globals={str(n): n for n in range(65)}), "65 globals"),
        (with_(contract="wasi"), "wasi"),
    ],
)
def test_image_module_build_refuses_what_is_no_image(image: Image, reason: str) -> None:
    with pytest.raises(ImageError, match=reason):
        build(image)


VALID = build(with_(pages=1, segments=(Segment(3, b"abc"),), globals={"g": 7}, contract="json"))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda _: b"", "does not begin"),
        (lambda binary: b"\0asm\x02" + binary[5:], "does not begin"),
        (lambda binary: binary[:-1], "too early"),
        (lambda binary: binary + custom(b"name", b""), "its sections"),
        (lambda binary: binary[:8] + custom(b"x", b"") + binary[8:], "its sections"),
        (lambda binary: binary.replace(b"\x05\x03\x01\x00\x01", b"\x05\x04\x01\x01\x01\x02"), "without a maximum"),
        (lambda binary: binary.replace(b"\x05\x03\x01\x00\x01", b"\x05\x03\x01\x04\x01"), "without a maximum"),
        (lambda binary: binary.replace(b"\x05\x03\x01\x00\x01", b"\x05\x05\x02\x00\x01\x00\x01"), "one memory"),
        (lambda binary: binary.replace(b"\x05\x03\x01\x00\x01", b"\x05\x04\x01\x00\x81\x00"), "not the one"),
        (lambda binary: binary.replace(b"\x41\x03\x0b\x03abc", b"\x41\x7f\x0b\x03abc"), "outside the memory"),
        (lambda binary: binary.replace(b"\x41\x03\x0b\x03abc", b"\x23\x03\x0b\x03abc"), "not active"),
        (lambda binary: binary.replace(b"\x41\x03\x0b\x03abc", b"\x41\x03\x0b\x7fabc"), "too early"),
        (lambda binary: binary.replace(b"\x01\x00\x41\x03", b"\x02\x00\x41\x03"), "too early"),
        (lambda binary: binary.replace(b"\x01\x00\x41\x03", b"\x00\x00\x41\x03"), "too long"),
        (lambda binary: binary.replace(b"faas.engine", b"faas.Engine"), "faas.engine"),
        (lambda binary: binary.replace(b'{"g":"7"}', b'{"g":07.}'), "not a JSON object"),
        (lambda binary: binary.replace(b'{"g":"7"}', b'{"g":7  }'), "not a JSON object"),
        (lambda binary: binary.replace(b'{"g":"7"}', b'{"g":"-"}'), "not an unsigned decimal"),
        (lambda binary: binary.replace(b'{"g":"7"}', b'{"g":""} '), "not an unsigned decimal"),
        (lambda binary: binary.replace(b'{"g":"7"}', b'["g","7"]'), "not a JSON object"),
        (lambda binary: binary.replace(b'{"g":"7"}', b'{"\xff":"7"}'), "not a JSON object"),
        (lambda binary: binary.replace(b"json", b"jsom"), "jsom"),
    ],
)
def test_image_module_parse_refuses_every_other_module(change: Callable[[bytes], bytes], reason: str) -> None:
    assert parse(VALID)
    changed = change(VALID)
    assert changed != VALID
    with pytest.raises(ImageError, match=reason):
        parse(changed)


@pytest.mark.parametrize("text", [rb'{"g":"07"}', rb'{"g": "7"}', rb'{"h":"1","g":"7"}', rb'{"g":"7","g":"7"}'])
def test_image_module_parse_refuses_another_spelling_of_the_globals(text: bytes) -> None:
    old, new = (custom(b"faas.globals", content) for content in (b'{"g":"7"}', text))
    assert old in VALID
    with pytest.raises(ImageError, match="not the one that the platform writes"):
        parse(VALID.replace(old, new))


@pytest.mark.parametrize("text", [rb'{"\ud800":"7"}', b'{"g":"%s"}' % (b"9" * 21), '{"g":"٣"}'.encode()])
def test_image_module_parse_refuses_hostile_globals(text: bytes) -> None:
    with pytest.raises(ImageError):
        parse(VALID.replace(custom(b"faas.globals", b'{"g":"7"}'), custom(b"faas.globals", text)))


def test_image_module_parse_of_random_changes_returns_an_image_or_raises_image_error() -> None:
    """What is accepted has exactly the bytes that `build` writes."""
    chooser = random.Random(15)
    accepted = 0
    for _ in range(20_000):
        changed = bytearray(VALID)
        for _ in range(chooser.randint(1, 3)):
            position = chooser.randrange(len(changed))
            match chooser.randrange(3):
                case 0:
                    changed[position] = chooser.randrange(256)
                case 1:
                    changed.insert(position, chooser.randrange(256))
                case _:
                    del changed[position]
        try:
            image = parse(bytes(changed))
        except ImageError:
            continue
        accepted += 1
        assert build(image) == changed
    assert accepted


def test_image_module_engine_is_that_of_the_image() -> None:
    assert engine_of(build(IMAGE)) == IMAGE.engine
    assert engine_of(bytes(wasmtime.wat2wasm("(module (memory 1) (func))"))) is None


def test_image_module_engine_marker_is_found_anywhere() -> None:
    assert carries_engine(build(IMAGE))
    plain = bytes(wasmtime.wat2wasm("(module (memory 1) (func))"))
    assert not carries_engine(plain)
    assert carries_engine(plain + custom(b"faas.engine", b""))
    assert carries_engine(plain[:8] + custom(b"faas.engine", b"short") + plain[8:])
    assert carries_engine(plain + b"\0\x01\x7f" + custom(b"faas.engine", ENGINE))  # after a malformed custom section
    assert not carries_engine(plain + custom(b"faas.engines", ENGINE))
    assert not carries_engine(b"")


def test_image_module_engine_marker_is_found_with_long_numbers() -> None:
    """WebAssembly allows a number to be written in more bytes than it needs."""
    plain = bytes(wasmtime.wat2wasm("(module (memory 1) (func))"))
    binary = plain + b"\0" + b"\x90\x80\x80\x80\x00" + b"\x8b\x80\x80\x80\x00" + b"faas.engine"
    wasmtime.Module.validate(wasmtime.Engine(), binary)
    assert carries_engine(binary)
