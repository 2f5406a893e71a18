"""Building the open face model from free data."""
