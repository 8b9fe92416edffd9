"""What runs in a process of its own: pip, asked on behalf of another machine."""
