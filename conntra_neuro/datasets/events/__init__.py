"""Event data: recordings of cameras, cochleas and other sensors, from their files to 0/1 spikes over time."""
