"""Repair: the whole weights and biases of a network that somebody else trained, moved until it does as well again."""
