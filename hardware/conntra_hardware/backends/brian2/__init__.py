"""Brian2, a general spiking simulator. Only the child process imports ``brian2``."""
