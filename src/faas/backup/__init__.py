"""One file that holds all that a database of faas holds: made from a running server, and made a database again."""
