"""Tables and pictures of a trained network's results."""
