"""The compute module: a batch run that maps an enricher over a Foundry dataset or stream."""
