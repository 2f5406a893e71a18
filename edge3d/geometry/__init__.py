"""Geometry: numbers in, numbers out; no files, no networks."""
