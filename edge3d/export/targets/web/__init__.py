"""The camera app for browsers."""
