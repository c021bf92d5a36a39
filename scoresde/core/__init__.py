"""What everything stands on: errors, options and registries, randomness, processes, signals, provenance."""
