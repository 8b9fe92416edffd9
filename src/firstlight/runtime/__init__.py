"""The slice that ships: everything that answers an invocation, and nothing that prepares one."""
