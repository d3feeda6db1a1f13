"""Searches over many trainings: recipes, and the front of error against energy.

What decides is a tuning split, cut from the training samples; test samples report, and decide nothing.
"""
