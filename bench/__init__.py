"""The benchmark, `make bench`: what the platform costs beside its peers. docs/performance.md says how it measures."""
