"""Objectives: what a network is trained to reduce, as named loss terms."""
