"""A page on which you draw a digit and watch the network read it, in the browser."""
