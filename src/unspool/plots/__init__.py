"""Pictures of generated sequences and of training. They need the extra `plot`; nothing of them touches pyplot."""
