"""Constraints of a caller on samples: first steps, values at steps, allowed values."""
