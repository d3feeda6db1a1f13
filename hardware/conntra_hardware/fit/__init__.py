"""Does a program fit a chip: synapse memory, what it takes of each core, and what its registers can hold."""
