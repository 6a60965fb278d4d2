"""The network as an ONNX file, and what it takes to run that file without torch."""
