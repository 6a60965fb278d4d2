"""Where the images come from, from a mirror to a split."""
