"""Sampled signals: recordings of microphones and other sensors, as whole numbers whose spikes an encoder makes."""
