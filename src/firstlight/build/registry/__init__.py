"""Registries of container images: what is pulled from them and pushed to them (OCI distribution specification)."""
