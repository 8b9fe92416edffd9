"""Walls around a command on Linux: what a sandbox lets it read, write and reach."""
