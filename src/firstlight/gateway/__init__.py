"""The HTTP edge: one file per wire format, each translating to an Invocation and back."""
