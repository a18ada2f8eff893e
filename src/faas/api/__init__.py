"""The HTTP API: routes, wire format, middleware, and the only table of errors to status codes."""
