"""What a run costs: event counts, coefficients, the one formula of energy and latency, and what a board measured."""
