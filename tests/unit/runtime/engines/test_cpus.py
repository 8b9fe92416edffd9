import pytest

from firstlight.runtime.engines import cpus


@pytest.fixture
def groups(tmp_path):
    def make(membership, **files):
        (tmp_path / "cgroup").write_text(membership)
        for name, text in files.items():
            path = tmp_path / "root" / name.replace("__", "/").replace("_dot_", ".")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return cpus.quota(str(tmp_path / "root"), str(tmp_path / "cgroup"))

    return make


def test_version_2(groups):
    assert groups("0::/\n", cpu_dot_max="29000 100000\n") == 0.29


def test_version_2_without_a_limit(groups):
    assert groups("0::/\n", cpu_dot_max="max 100000\n") == float("inf")


def test_the_narrowest_of_the_groups_around(groups):
    files = {
        "a__b__cpu_dot_max": "max 100000",
        "a__cpu_dot_max": "150000 100000",
        "cpu_dot_max": "max 100000",
    }
    assert groups("0::/a/b\n", **files) == 1.5


def test_a_container_sees_its_own_group_as_the_root(groups):
    assert groups("0::/not/visible/here\n", cpu_dot_max="200000 100000") == 2


def test_version_1(groups, tmp_path):
    folder = tmp_path / "root/cpu,cpuacct/x"
    folder.mkdir(parents=True)
    (folder / "cpu.cfs_quota_us").write_text("50000\n")
    (folder / "cpu.cfs_period_us").write_text("100000\n")
    assert groups("9:name=systemd:/\n4:cpu,cpuacct:/x\n2:cpuset:/\n0::/\n") == 0.5
    (folder / "cpu.cfs_quota_us").write_text("-1\n")
    assert groups("4:cpu,cpuacct:/x\n") == float("inf")


@pytest.mark.parametrize("text", ["", "nonsense", "1 0", "a b", "5"])
def test_a_file_that_makes_no_sense_is_no_limit(groups, text):
    assert groups("0::/\nhuh\n", cpu_dot_max=text) == float("inf")


@pytest.mark.parametrize(
    ("affinity", "quota", "memory", "expected"),
    [
        (8, float("inf"), "", 8),
        (8, 2.5, "", 2),
        (8, 0.29, "", 1),
        (8, float("inf"), "1769", 1),
        (8, float("inf"), "512", 1),
        (8, float("inf"), "10240", 6),
        (2, float("inf"), "10240", 2),
        (4, float("inf"), "lots", 4),
    ],
)
def test_threads(monkeypatch, affinity, quota, memory, expected):
    monkeypatch.setattr(cpus, "_affinity", lambda: affinity)
    monkeypatch.setattr(cpus, "quota", lambda: quota)
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", memory)
    assert cpus.threads() == expected


def test_this_machine_has_at_least_one():
    assert cpus.threads() >= 1
