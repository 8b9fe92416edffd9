"""A target as pip and wheels name it."""

import pytest

from firstlight.build.pack import targets
from firstlight.build.pack.types import Target
from firstlight.runtime.errors import ProjectError

ARM, INTEL = Target(), Target("x86_64", "3.11")


def test_keys_lead_back_to_their_targets() -> None:
    assert targets.key(ARM) == "arm64-python3.13"
    assert targets.of_key("x86_64-python3.11") == INTEL


def test_platforms_are_those_of_the_c_library_and_older() -> None:
    found = targets.platforms(ARM)
    assert found[0] == "manylinux_2_34_aarch64"
    assert found[-3:] == ("manylinux_2_17_aarch64", "manylinux2014_aarch64", "linux_aarch64")
    assert "manylinux1_x86_64" in targets.platforms(INTEL)
    assert targets.platforms(Target(glibc=(2, 28)))[0] == "manylinux_2_28_aarch64"


@pytest.mark.parametrize(
    ("file", "target", "fits"),
    [
        ("a-1-py3-none-any.whl", ARM, True),
        ("a-1-py2.py3-none-any.whl", INTEL, True),
        ("a-1-py2-none-any.whl", ARM, False),
        ("a-1-cp313-cp313-manylinux_2_28_aarch64.whl", ARM, True),
        ("a-1-cp313-cp313-manylinux_2_35_aarch64.whl", ARM, False),
        ("a-1-cp313-cp313-manylinux_2_35_aarch64.whl", Target(glibc=(2, 36)), True),
        ("a-1-cp313-cp313-manylinux_2_28_x86_64.whl", ARM, False),
        ("a-1-cp312-cp312-manylinux_2_28_aarch64.whl", ARM, False),
        ("a-1-cp313-cp313t-manylinux_2_28_aarch64.whl", ARM, False),
        ("a-1-cp310-abi3-manylinux_2_17_aarch64.manylinux2014_aarch64.whl", ARM, True),
        ("a-1-cp314-abi3-manylinux_2_17_aarch64.whl", ARM, False),
        ("a-1-cp310-cp310-manylinux1_x86_64.whl", INTEL, False),
        ("a-1-1build-py3-none-manylinux2014_x86_64.whl", INTEL, True),
        ("a-1-cp313-cp313-musllinux_1_2_aarch64.whl", ARM, False),
        ("a-1-cp313-cp313-macosx_11_0_arm64.whl", ARM, False),
    ],
)
def test_whether_a_wheel_runs_there(file: str, target: Target, fits: bool) -> None:
    assert targets.fits(file, target) is fits


def test_markers_say_nothing_of_this_machine() -> None:
    found = targets.markers(ARM)
    assert (found["platform_machine"], found["python_version"], found["platform_release"]) == (
        "aarch64",
        "3.13",
        "",
    )


@pytest.mark.parametrize(
    "target", [Target("riscv64"), Target(python="2.7"), Target(python="3"), Target(python="3.x")]
)
def test_other_machines_are_refused(target: Target) -> None:
    with pytest.raises(ProjectError, match="not built for"):
        targets.pip_options(target)
