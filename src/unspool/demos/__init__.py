"""Demonstrations on real data: each fits a model with default options and prints its nats beside those of baselines.

Names are learned within a budget of time.
"""
