"""The C++ project."""
