"""The benchmark, `make bench`: what faas costs beside its peers. docs/performance.md says how it measures."""
