"""Tools for search: evaluation, calibration of scores, and the ONNX graph of the local model."""
