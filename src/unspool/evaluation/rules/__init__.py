"""Rules that hold in real sequences, and how often generated ones break them."""
