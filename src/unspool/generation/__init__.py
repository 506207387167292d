"""From a network and inputs to sequences."""
