"""Requests to upgrade the protocol: the upgrade is ignored, the request is served as HTTP/1.1 with its body.

The parser takes everything after the headers of a request with `Upgrade` for the other protocol: it skips the body,
reports the request as complete and stops (https://github.com/MagicStack/httptools/issues/124,
https://github.com/Kludex/uvicorn/issues/2722). A server that ignores the upgrade (RFC 9110, section 7.8) must read the
body all the same, and by the same framing as the client: body bytes must not become the next request.
"""

import httptools

from faas.server.uvicorn_internals import HttpToolsProtocol


class UpgradeIgnoringProtocol(HttpToolsProtocol):
    """HTTP/1.1 protocol that parses on after a request to upgrade: first its body, then the next request.

    A new parser reads the body. It is given a head with the same framing and without `Upgrade`; while `_body_head` is
    set, the callbacks for that head are to be ignored, as is the end of the message that the first parser reports.
    """

    _body_head = b""  # for a body that the parser has skipped and that is still to be read
    _input_ended = False  # whether all further data is discarded

    def _parse_after_upgrade(self, rest: memoryview) -> None:
        """Parse what follows the headers of a request to upgrade. Raises httptools.HttpParserError."""
        while not self._is_connect():
            if self._body_head:
                self.parser = httptools.HttpRequestParser(self)
                self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn does
                self.parser.feed_data(self._body_head)
            try:
                self.parser.feed_data(rest)
            except httptools.HttpParserUpgrade as upgrade:
                rest = rest[upgrade.args[0] :]
            else:
                return
        self._input_ended = True  # what follows is for the tunnel that the client has asked for

    def _is_connect(self) -> bool:
        return self.parser.get_method() == b"CONNECT"

    def _ignore_upgrade(self) -> None:
        """Prepare to read the body of the request whose headers are parsed, if it has one.

        The connection serves other requests afterwards, unless the method is CONNECT.
        """
        if self._is_connect():
            self.cycle.keep_alive = False
            return
        framing = b""
        for name, value in self.headers:
            if name == b"transfer-encoding":  # the parser has rejected a Content-Length beside it
                framing = b"transfer-encoding: chunked"
            elif name == b"content-length" and int(value):
                framing = b"content-length: %d" % int(value)
        if framing:
            connection = b"keep-alive" if self.parser.should_keep_alive() else b"close"
            self._body_head = b"POST / HTTP/1.1\r\n%b\r\nconnection: %b\r\n\r\n" % (framing, connection)
