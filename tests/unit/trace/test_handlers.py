from __future__ import annotations

import pytest

from firstlight.trace.handlers import is_plain, names
from firstlight.trace.types import TraceError


@pytest.mark.parametrize(
    ("source", "plain"),
    [
        ("def handler(event, context): ...", False),
        ("from app import lambda_handler", False),
        ("try:\n    from app import x as handler\nexcept ImportError:\n    handler = None", False),
        ("class EndpointHandler: ...", False),
        ("if True:\n    predict_fn: object = print", False),
        ("def main():\n    handler = 1\nmain()", True),
        ("print(1)", True),
        ("", True),
        ("def handler(:", False),
        ("\0", False),
    ],
)
def test_what_has_a_handler(tmp_path, source, plain):
    path = tmp_path / "script.py"
    path.write_text(source)
    assert is_plain(path) is plain


def test_which_names_they_are(tmp_path):
    (tmp_path / "a.py").write_text("def predict_fn(data, model): ...\ndef other(): ...")
    assert names(tmp_path / "a.py") == {"predict_fn"}
    with pytest.raises(TraceError, match="cannot be read"):
        names(tmp_path)
