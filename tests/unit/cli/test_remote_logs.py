from __future__ import annotations

import json

import pytest

from firstlight.cli.remote_logs import parsed, worded

REPORT = {"durationMs": 12.34, "initDurationMs": 800.4, "maxMemoryUsedMB": 120, "memorySizeMB": 512}


def words(line):
    text = line if isinstance(line, str) else json.dumps(line)
    return worded(text, parsed(text))


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("hello", ("", "hello")),
        ("START RequestId: 1 Version: 3", None),
        ("END RequestId: 1", None),
        ("", None),
        ("21 Nov 2026 23:34:52,850 [INFO] (rapid) INIT RTDONE(status: success)", None),
        (
            "REPORT RequestId: 1\tDuration: 3.95 ms\tBilled Duration: 4 ms\tMemory Size: 512 MB\t"
            "Max Memory Used: 99 MB\t"
            "Init Duration: 70 ms\t",
            ("", "took 3.95 ms (init 70 ms), 99 MB of 512 MB"),
        ),
        (
            "REPORT RequestId: 1\tDuration: 3000 ms\tMemory Size: 512 MB\tMax Memory Used: 99 MB\tStatus: timeout",
            ("ERROR", "took 3000 ms, 99 MB of 512 MB, timeout"),
        ),
        ("[WARNING]\t2026-11-21T23:16:28.320Z\tabc-1\tcareful\nnow", ("WARNING", "WARNING careful\nnow")),
        ("[ERROR] ValueError: boom", ("ERROR", "[ERROR] ValueError: boom")),
        ({"type": "platform.start", "record": {"requestId": "1"}}, None),
        (
            {"type": "platform.report", "record": {"status": "success", "metrics": REPORT}},
            ("", "took 12.3 ms (init 800 ms), 120 of 512 MB"),
        ),
        (
            {"type": "platform.report", "record": {"status": "error", "errorType": "Runtime.OutOfMemory"}},
            ("ERROR", "took 0.0 ms, ? of ? MB, error Runtime.OutOfMemory"),
        ),
        ({"type": "platform.initReport", "record": {"status": "timeout"}}, ("ERROR", "initReport: timeout")),
        ({"_aws": {"CloudWatchMetrics": []}, "Latency": 3}, None),
        ({"level": "INFO", "message": "plain"}, ("INFO", "plain")),
        ({"level": "WARN", "message": {"a": 1}}, ("WARN", 'WARN {"a": 1}')),
        (
            {"errorType": "ValueError", "errorMessage": "boom", "stackTrace": ["  File x\n", "    y\n"]},
            ("ERROR", "ValueError: boom\n  File x\n    y"),
        ),
        ('{"label": "POSITIVE"}', ("", '{"label": "POSITIVE"}')),
        ("{not json", ("", "{not json")),
    ],
)
def test_a_line_as_people_read_it(line, said):
    assert words(line) == said
