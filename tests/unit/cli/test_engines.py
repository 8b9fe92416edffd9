import json


def test_every_engine_says_what_runs_it(cli):
    done = cli("engines", "--json")
    found = {one["engine"]: one for one in json.loads(done.out)}
    assert set(found) == {"onnx", "ctranslate2", "llama"}
    assert all(one["version"] for one in found.values())
    assert found["llama"]["origin"] in ("wheel", "cache", "folder")
    assert "onnxruntime" in cli("engines").out


def test_a_file_that_is_no_package_is_refused(cli, folder):
    (folder / "some.tgz").write_bytes(b"no archive")
    done = cli("engines", "add", "llama", "--file", "some.tgz")
    assert done.code == 1
    assert "is not a package of npm" in done.err
