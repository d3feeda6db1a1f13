"""Processes and models of ours. Lava runs every file of this folder when it compiles: nothing else may live here."""
