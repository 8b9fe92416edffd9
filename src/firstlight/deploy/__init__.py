"""From a project to a stack in the user's own AWS account: what is in it, what it costs, how it gets there."""
