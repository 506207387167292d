"""The network: pure mathematics on weights and arrays."""
