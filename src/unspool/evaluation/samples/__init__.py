"""What sections and baselines are computed from: sets of sequences, generated ones, scores."""
