from __future__ import annotations

import json
from pathlib import Path

import pytest

from aws import exported
from firstlight.build.pack import belongings
from firstlight.build.types import Silent
from firstlight.deploy import making
from firstlight.deploy.aws.errors import NoCredentials
from firstlight.deploy.sending import Code
from firstlight.project import load


@pytest.fixture
def accounts():
    """Those that functions were made for."""
    return []


@pytest.fixture
def project(folder, accounts, monkeypatch):
    (folder / "inference").mkdir()
    (folder / "inference" / "hello.py").write_text("def handler(event, context):\n    return event\n")
    (folder / "firstlight.toml").write_text('name = "demo"\n[deploy]\nregion = "eu-central-1"\n')

    def make(project, account, shown, deployed=None):
        accounts.append(account)
        codes = [Code(exported.artifact(name)) for name in (*project.endpoints, "router")]
        return making.Making(tuple(codes), lambda lock: lock, ("the wheels are new",))

    monkeypatch.setattr(making, "make", make)
    monkeypatch.setattr("firstlight.cli.locking.laid_over", lambda root, change: False)
    return folder


def test_a_form_is_written_without_asking_aws(cli, project, accounts):
    done = cli("export", "cdk", "--out", "infra", "--account", "123456789012")
    assert done.code == 0
    assert "of them new or changed" in done.out
    assert "npx aws-cdk@2.1148.1 deploy" in done.err
    assert "the wheels are new" in done.err
    assert "HelloFunction" in (project / "infra/parts/hello.py").read_text()
    (account,) = accounts
    assert (account.id, account.region, account.partition) == ("123456789012", "eu-central-1", "aws")


def test_what_is_written_is_said_as_json(cli, project, accounts):
    words = ("export", "cloudformation", "--account", "123456789012", "--region", "cn-north-1", "--json")
    said = json.loads(cli(*words).out)
    assert said["folder"] == "cloudformation"
    assert said["files"] == ["README.md", "template.yaml"] == said["changed"]
    assert said["removed"] == []
    assert "--stack-name firstlight-demo" in said["next"][0]
    assert accounts[0].partition == "aws-cn"
    assert json.loads(cli(*words).out)["changed"] == []


def test_what_was_exported_is_no_part_of_a_function(cli, project):
    assert cli("export", "sam", "--account", "123456789012").code == 0
    assert Path("sam/template.yaml").is_file()
    found = load(project, None, {})
    packed = belongings.files(found, found.endpoints["hello"], Silent())
    assert [file.path for file in packed] == ["inference/hello.py"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("cdk", "--account", "12"), "twelve digits"),
        (("cdk", "--account", "123456789012", "--send"), "leave out --profile and --send"),
        (("dockerfile", "--region", "eu-central-1"), "--region has no meaning for a Dockerfile"),
        (("pulumi",), "cloudformation"),
    ],
)
def test_a_wrong_call_is_explained(cli, project, words, said):
    done = cli("export", *words)
    assert done.code == 2
    assert said in done.err


def test_the_project_itself_is_no_place_for_an_export(cli, project):
    done = cli("export", "sam", "--account", "123456789012", "--out", ".")
    assert done.code == 1
    assert "is the project itself" in done.err


def test_changed_files_are_not_lost(cli, project):
    words = ("export", "sam", "--account", "123456789012")
    assert cli(*words).code == 0
    (project / "sam/README.md").write_text("mine")
    done = cli(*words)
    assert done.code == 1
    assert "sam/README.md was changed by somebody" in done.err
    assert cli(*words, "--force").code == 0


def test_a_region_has_to_be_named(cli, project):
    (project / "firstlight.toml").write_text('name = "demo"\n')
    done = cli("export", "cdk", "--account", "123456789012")
    assert done.code == 1
    assert "no AWS region is named" in done.err


def test_values_of_variables_are_told_of(cli, project):
    file = project / "firstlight.toml"
    file.write_text(file.read_text() + '[endpoints.hello]\nenv = { KEY = "secretsmanager:a" }\n')
    words = ("export", "cloudformation", "--account", "123456789012", "--force")
    assert "warning" not in cli(*words).err
    file.write_text(file.read_text().replace("secretsmanager:a", "hf_hidden"))
    done = cli(*words)
    assert "values of `env` of hello are in these files" in done.err
    assert "hf_hidden" not in done.err


def test_without_credentials_the_way_without_aws_is_named(cli, project, monkeypatch):
    def prepared(session, project, as_json):
        raise NoCredentials("there are no AWS credentials", "make some")

    monkeypatch.setattr("firstlight.cli.account.session", lambda *_: None)
    monkeypatch.setattr("firstlight.cli.deploy.prepared", prepared)
    done = cli("export", "cdk")
    assert done.code == 1
    assert "there are no AWS credentials" in done.err
    assert "make some; or `--account ID` exports without asking AWS" in done.err
