"""Configuration files: TOML checked by pydantic."""
