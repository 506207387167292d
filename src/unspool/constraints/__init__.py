"""What the caller fixes or forbids: first steps, values at steps, allowed values."""
