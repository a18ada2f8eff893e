"""The core of the compute module: read a table of e-mail addresses, enrich each address once, write rows.

Independent of Foundry. Only the enrichers use HTTP.
"""
