"""The compute module's core: a table of e-mail addresses in, each address enriched once, rows out.

Knows nothing of Foundry and, but for the enrichers that need it, nothing of HTTP.
"""
