"""Networks that lava-dl has trained: its .net files, read exactly."""
