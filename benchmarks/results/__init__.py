"""What Unspool does with default options on real data that nothing was tuned on."""
