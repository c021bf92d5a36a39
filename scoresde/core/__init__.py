"""Shared basics: errors, options and registries, randomness, process groups, signals, provenance."""
