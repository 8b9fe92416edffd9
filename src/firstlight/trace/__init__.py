"""Finds what a script's libraries drop into HOME and elsewhere, packs it, and proves that nothing else is needed."""
