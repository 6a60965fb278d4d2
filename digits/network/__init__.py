"""The network, its layers, the file that carries it, and its fast path on a CPU."""
