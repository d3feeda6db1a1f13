"""The blocks gear for networks with convolutions, pooling, residuals, or neurons other than one-step thresholds."""
