"""From values to the arrays that the network sees, and back."""
