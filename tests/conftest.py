"""What holds for every test: no property test fails because the machine is slow.

The inner loop (``make check``) tries fewer examples of each property than ``make test``: FIRSTLIGHT_TESTS=inner.
"""

import os
import signal

from hypothesis import settings

settings.register_profile("whole", deadline=None)
settings.register_profile("inner", deadline=None, max_examples=10)
settings.load_profile(os.environ.get("FIRSTLIGHT_TESTS", "whole"))

# A shell that starts a job in the background has it ignore SIGINT, and so would every process that the tests start and
# interrupt. A handler set here is reset to the default in them.
signal.signal(signal.SIGINT, signal.default_int_handler)
