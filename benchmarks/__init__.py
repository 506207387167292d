"""Benchmarks: parity first, then competitor and Unspool in turn, then one JSON line."""
