"""What holds for every test: no property test fails because the machine is slow."""

import signal

from hypothesis import settings

settings.register_profile("firstlight", deadline=None)
settings.load_profile("firstlight")

# A shell that starts a job in the background has it ignore SIGINT, and so would every process that the tests start and
# interrupt. A handler set here is reset to the default in them.
signal.signal(signal.SIGINT, signal.default_int_handler)
