"""A Foundry-like server for local work and tests: datasets with transactions, streams, and what was called.

Like Foundry in paths, methods and answers, so that the module and the official SDK work against it; not in scale,
permissions or table semantics.
"""
