"""What is wrong with a machine or a project, each finding with its fix; and what would fail on Lambda."""
