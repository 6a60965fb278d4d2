"""Side-by-side timings: `make bench-quick` prints them, `make bench` writes results.md."""
