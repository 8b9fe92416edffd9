from verbs import cli, folder

__all__ = ["cli", "folder"]
