"""Access: tokens, and telling from a request's header who makes it."""
