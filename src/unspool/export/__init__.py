"""A fitted model as an ONNX file: the program that generates, operator by operator."""
