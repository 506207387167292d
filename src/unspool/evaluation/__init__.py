"""Figures of quality, and the simplest models to hold them against."""
