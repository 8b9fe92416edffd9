"""A container image of a function, written without a daemon: the same bytes on every machine."""
