"""Loihi 2 through Lava and Intel's extension. Only the child process imports ``lava``."""
