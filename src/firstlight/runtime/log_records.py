r"""``logging`` as Lambda's Python runtime sets it up: one handler on the root logger, tab-separated text or JSON.

Text: ``[LEVEL]\t2026-11-20T13:35:00.123Z\t<request id>\t<message>``. JSON: the fields ``timestamp``, ``level``,
``message``, ``logger``, ``requestId``, of an exception ``stackTrace``, ``errorType``, ``errorMessage`` and
``location``, and whatever was passed as ``extra``.
"""

from __future__ import annotations

import logging
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TextIO

_TEXT = "[%(levelname)s]\t%(asctime)s.%(msecs)03dZ\t%(aws_request_id)s\t%(message)s"
_STANDARD = {*vars(logging.makeLogRecord({})), "message", "asctime", "aws_request_id", "taskName"}


def set_up(
    level: str, as_json: bool, stream: Callable[[], TextIO], tags: Callable[[], dict[str, str]]
) -> None:
    """Give the root logger its handler.

    Args:
        level: name of a level, as AWS_LAMBDA_LOG_LEVEL has it; WARNING, Python's own default, when empty.
        as_json: whether a record becomes a JSON object.
        stream: gives what lines are written to now.
        tags: gives ``requestId`` and ``tenantId`` of the invocation that is running.
    """
    formatter: logging.Formatter
    if as_json:
        formatter = JsonFormatter(tags)
    else:
        formatter = logging.Formatter(_TEXT, "%Y-%m-%dT%H:%M:%S")
        formatter.converter = time.gmtime
    handler = LineHandler(stream, tags)
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.addHandler(handler)
    if level in logging.getLevelNamesMapping():
        root.setLevel(level)


class LineHandler(logging.Handler):
    """Writes records to the log of the invocation that is running."""

    def __init__(self, stream: Callable[[], TextIO], tags: Callable[[], dict[str, str]]) -> None:
        super().__init__()
        self._stream = stream
        self._tags = tags

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record; a record that cannot be formatted must not break the function."""
        try:
            record.aws_request_id = self._tags().get("requestId", "")
            text = self.format(record)
        except Exception:
            self.handleError(record)
            return
        self._stream().write(text + "\n")


class JsonFormatter(logging.Formatter):
    """A record as one JSON object."""

    def __init__(self, tags: Callable[[], dict[str, str]]) -> None:
        super().__init__()
        self._tags = tags

    def format(self, record: logging.LogRecord) -> str:
        """The object's text; values that have no JSON form are given as ``str`` gives them."""
        import json

        plain = isinstance(record.msg, dict) and not record.args
        line: dict[str, Any] = {
            "timestamp": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(record.created)),
            "level": record.levelname,
            "message": record.msg if plain else record.getMessage(),
            "logger": record.name,
            **_exception(record),
            **self._tags(),
        }
        extra = {
            name: value for name, value in vars(record).items() if name not in _STANDARD and name not in line
        }
        return json.dumps({**line, **extra}, ensure_ascii=False, default=str)


def _exception(record: logging.LogRecord) -> dict[str, Any]:
    if not record.exc_info or record.exc_info[0] is None:
        return {}
    from traceback import format_tb

    kind, error, trace = record.exc_info
    return {
        "stackTrace": format_tb(trace),
        "errorType": kind.__name__,
        "errorMessage": str(error),
        "location": f"{record.pathname}:{record.funcName}:{record.lineno}",
    }
