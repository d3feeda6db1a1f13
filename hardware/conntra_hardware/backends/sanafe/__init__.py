"""SANA-FE, a simulator of neuromorphic chips under GPL-3: only ever run in a child process of its own."""
