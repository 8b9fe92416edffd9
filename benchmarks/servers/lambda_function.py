"""The function behind AWS's Runtime Interface Emulator, run by AWS's own Runtime API client."""

import work

handler_of = work.load()


def handler(event, context):  # noqa: ARG001
    return handler_of(event)
