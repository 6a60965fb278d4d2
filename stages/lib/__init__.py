"""What two stages need, or what is pure and worth testing alone."""
