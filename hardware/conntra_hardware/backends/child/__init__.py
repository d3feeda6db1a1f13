"""Simulators in a child process: how a job is handed over, served and supervised."""
