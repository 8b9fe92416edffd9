"""What every way of generating text shares: the wishes of a request, and the text that comes of tokens."""
