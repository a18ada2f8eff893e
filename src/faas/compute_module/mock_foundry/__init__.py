"""The mock Foundry for local work and tests: datasets with transactions, streams, and a record of calls.

It has Foundry's paths, methods and responses, so that the compute module and the official SDK work against it, but
neither its scale nor its permissions nor its table schemas.
"""
