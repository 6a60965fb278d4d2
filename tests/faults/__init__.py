"""Promises about what goes wrong: each test does it for real, and says how many times."""
