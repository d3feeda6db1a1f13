"""ReLU networks in floating point: read, calibrated on data, and made integer networks."""
