from __future__ import annotations

import pytest

from firstlight.invoke.provisioning import Provisioned, provisioned


@pytest.mark.parametrize(("requested", "ready", "failure", "expected"), [
    (0, [], "", Provisioned(0, 0, 0, "READY")),
    (2, [], "", Provisioned(2, 0, 0, "IN_PROGRESS")),
    (2, [True, False], "", Provisioned(2, 2, 1, "IN_PROGRESS")),
    (2, [True, True], "", Provisioned(2, 2, 2, "READY")),
    (2, [True], "KeyError", Provisioned(2, 1, 1, "FAILED", "KeyError")),
    (1, [True, True], "KeyError", Provisioned(1, 1, 1, "READY")),
])  # fmt: skip
def test_where_things_stand(requested, ready, failure, expected):
    assert provisioned(requested, ready, failure) == expected
