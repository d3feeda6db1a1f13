"""Networks to and from NIR, the neuromorphic intermediate representation."""
