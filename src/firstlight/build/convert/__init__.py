"""A model folder as the hub keeps it, turned into a graph an engine runs; torch is never imported."""
