"""The simplest reference models: their likelihoods of held-out data, and their forecasts."""
