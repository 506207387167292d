"""What the engines share that run Unspool on many machines: `unspool.ray` and `unspool.spark` stand on it."""
