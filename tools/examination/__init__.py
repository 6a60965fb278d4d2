"""How well the predict command reads pictures of many kinds, beside two common ways."""
