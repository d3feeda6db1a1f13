"""Train discrete networks with CoNNTrA, compile them onto neuromorphic cores, run and verify them."""
