"""Networks from ONNX and QONNX."""
