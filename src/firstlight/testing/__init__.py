"""Real parts for tests of projects that use firstlight."""
