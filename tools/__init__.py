"""What the Makefile calls that is not a stage."""
