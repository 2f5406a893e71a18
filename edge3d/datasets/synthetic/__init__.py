"""Rendered faces with exact labels."""
