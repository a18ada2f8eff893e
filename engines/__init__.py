"""Recipes of the engine modules, one folder for each. `make engines` builds them; faas.engines finds what was built."""
