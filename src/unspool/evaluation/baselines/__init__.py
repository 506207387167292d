"""The simplest models that could work: likelihoods for held-out data, and paths beside generated ones."""
