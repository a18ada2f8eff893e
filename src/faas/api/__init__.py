"""HTTP: routes and wire structs by resource, and the only table from errors to status codes."""
