"""Networks as C99 headers."""
