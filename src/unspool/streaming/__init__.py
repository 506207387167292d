"""Data larger than memory: read in blocks of whole sequences, and encoded once into arrays on disk."""
