"""Lava: Loihi's fixed-point processes, simulated on the CPU. Only the child process imports ``lava``."""
