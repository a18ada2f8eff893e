"""The documentation site: what mkdocs.yml names beside the pages."""
