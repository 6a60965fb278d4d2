"""Training: the loop and everything that happens inside it."""
