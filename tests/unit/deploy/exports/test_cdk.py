from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aws import exported
from firstlight.deploy import exports
from firstlight.deploy.exports import cdk
from firstlight.deploy.exports.cdk.acknowledging import findings
from firstlight.deploy.exports.cdk.layout import WIDTH, laid_out
from firstlight.deploy.exports.cdk.parts import parts
from firstlight.deploy.exports.cdk.values import Values
from firstlight.deploy.types import Att, Output, Ref, Resource, Stack, Sub

PLAIN = st.recursive(
    st.text(st.characters(exclude_categories=["Cs"])) | st.integers() | st.booleans(),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text("abc_:", min_size=1), inner, max_size=4)
    ),
    max_leaves=20,
)
CDK = SimpleNamespace(
    Aws=SimpleNamespace(REGION="eu-central-1"),
    Fn=SimpleNamespace(get_att=lambda name, part: f"{name}.{part}", ref=lambda name: name),
)


def stack(*resources: Resource, outputs: tuple[Output, ...] = ()) -> Stack:
    return Stack("firstlight-demo", "a demo", resources, outputs)


def function(name: str, part: str, **properties) -> Resource:
    return Resource(name, "AWS::Lambda::Function", {"Role": "arn", **properties}, part, "a reason")


@settings(max_examples=50)
@given(PLAIN, st.integers(0, 60))
def test_values_are_written_as_python_that_says_the_same(value, indent):
    code = laid_out(Values(lambda _: None).value(value), indent)
    assert ast.literal_eval(code) == value


@given(
    st.lists(
        st.sampled_from(["{x}", '"', "\\", "words and more ", "\n", "${!No}", "${AWS::Region}", "${Table}"])
    )
)
def test_texts_keep_what_they_refer_to(words):
    values = Values(lambda name: "self.table" if name == "Table" else None)
    code = laid_out(values.value(Sub("".join(words))), 8, 20)
    self = SimpleNamespace(table=SimpleNamespace(ref="demo-table"))
    said = "".join(words).replace("${AWS::Region}", "eu-central-1").replace("${Table}", "demo-table")
    assert eval(code, {"cdk": CDK, "self": self}) == said.replace("${!", "${")


@pytest.mark.parametrize("name", ["everything", "s3files"])
def test_every_resource_is_made_once_in_clean_and_formatted_python(name, tmp_path):
    made = exported.STACKS[name]()
    files = cdk.render(made)
    exports.write({path: text for path, text in files.items() if "code/" not in path}, tmp_path)
    text = "".join(text for path, text in files.items() if path.startswith("parts/"))
    ids = re.findall(r'\(\s*self,\s+"(\w+)"', text)
    assert sorted(ids) == sorted(resource.id for resource in made.resources)
    assert all(resource.why.split()[0] in text for resource in made.resources)
    for words in (
        (
            "check",
            "--select",
            "F,E9,I,N,UP,PL,B,SIM,PTH",
            "--ignore",
            "PLR0913,PLR2004",
            "--target-version",
            "py310",
        ),
        ("format", "--check", "--diff", "--line-length", str(WIDTH)),
    ):
        command = [sys.executable, "-m", "ruff", words[0], "--isolated", "--no-cache", *words[1:], "."]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


def test_lines_are_short_where_their_words_are():
    files = cdk.render(exported.plain())
    lines = [line for path, text in files.items() if path.endswith(".py") for line in text.splitlines()]
    long = [line for line in lines if len(line) > WIDTH]
    assert all(max(map(len, line.split())) > 60 for line in long)


def test_parts_come_after_those_they_refer_to_and_are_handed_them():
    made = stack(
        function("RouterFunction", "router", Layers=[Ref("MoodFunction")]),
        function("MoodFunction", "mood", Description=Att("RecordsTable", "Arn")),
        Resource("RecordsTable", "AWS::DynamoDB::Table", {"KeySchema": []}, "records", "records"),
    )
    found = parts(made)
    assert [part.name for part in found] == ["records", "mood", "router"]
    assert [part.needs for part in found] == [(), ("records",), ("mood",)]
    text = cdk.render(made)["stack.py"]
    assert (
        text.index("records = Records(self")
        < text.index("mood = Mood(self")
        < text.index("router = Router(self")
    )


def test_parts_that_refer_to_each_other_are_one():
    made = stack(
        function("JobsQueue", "jobs", Description=Ref("JobsFunction")),
        function("JobsFunction", "router-jobs", Description=Ref("JobsQueue")),
    )
    (found,) = parts(made)
    assert (found.name, len(found.resources)) == ("jobs", 2)
    assert 'description=cdk.Fn.ref("JobsFunction")' in cdk.render(made)["parts/jobs.py"]


@pytest.mark.parametrize(
    "name", ["class", "import", "3d", "logs", "lambda", "cdk", "self", "construct", "Stack", "json"]
)
def test_endpoints_may_be_called_what_python_calls_other_things(name):
    made = stack(
        function("AFunction", name),
        function("BFunction", "other", Description=Ref("AFunction")),
        Resource("Logs", "AWS::Logs::LogGroup", {"RetentionInDays": 1}, "other", "logs"),
        outputs=(Output("Other", Ref("BFunction"), "the same name as a construct"),),
    )
    files = cdk.render(made)
    for path, text in files.items():
        if path.endswith(".py"):
            compile(text, path, "exec")
    (module,) = (
        path for path in files if path not in ("parts/__init__.py", "parts/other.py") and "parts/" in path
    )
    assert module.removeprefix("parts/").removesuffix(".py").isidentifier()
    assert 'Other(self, "OtherPart"' in files["stack.py"]


def test_endpoints_that_differ_in_case_alone_have_modules_of_their_own():
    made = stack(function("AFunction", "mood"), function("BFunction", "Mood"))
    assert {part.module for part in parts(made)} == {"mood", "mood_"}


def test_json_in_a_text_is_written_as_a_dictionary():
    body = Sub('{"widgets": [{"region": "${AWS::Region}", "name": "${MoodFunction}-x"}]}')
    dashboard = Resource(
        "Board", "AWS::CloudWatch::Dashboard", {"DashboardBody": body}, "operations", "a board"
    )
    text = cdk.render(stack(function("MoodFunction", "mood"), dashboard))["parts/operations.py"]
    assert "cdk.Stack.of(self).to_json_string(" in text
    assert '"region": cdk.Aws.REGION' in text
    assert 'f"{mood.function.ref}-x"' in text


def test_code_and_keys_are_files():
    texts = {"ZipFile": "import boto3\n\n\ndef handler(event, context): ...\n"}
    made = stack(function("SwitchFunction", "budget", Code=texts))
    files = cdk.render(made)
    assert files["code/budget_switch_function.py"] == texts["ZipFile"]
    assert 'zip_file=(CODE / "budget_switch_function.py").read_text()' in files["parts/budget.py"]
    assert "| `code/` |" in files["README.md"]
    assert "code/" not in cdk.render(stack(function("A", "a", Code={"ZipFile": "one line"})))["README.md"]


def test_an_unknown_type_is_still_a_resource():
    text = cdk.render(stack(Resource("New", "AWS::New::Thing", {"A": 1}, "other", "new")))["parts/other.py"]
    assert 'cdk.CfnResource(self, "New", type="AWS::New::Thing", properties={"A": 1})' in text


def test_findings_have_the_ids_that_cdk_nag_gives_them():
    statement = {
        "Effect": "Allow",
        "Action": ["dynamodb:Query"],
        "Resource": [Att("Table", "Arn"), Sub("${Table.Arn}/index/*"), "*"],
    }
    policies = [
        {"PolicyName": "a", "PolicyDocument": {"Statement": [statement, {**statement, "Effect": "Deny"}]}}
    ]
    role = Resource("Role", "AWS::IAM::Role", {"Policies": policies}, "router", "a role")
    found = dict(findings(role))
    assert list(found) == [
        "AwsSolutions::AwsSolutions-IAM5[Resource::<Table.Arn>/index/*]",
        "AwsSolutions::AwsSolutions-IAM5[Resource::*]",
    ]
    assert "dynamodb:Query" in found["AwsSolutions::AwsSolutions-IAM5[Resource::*]"]


def test_what_a_rule_asks_for_is_not_acknowledged_where_it_is_there():
    backed_up = {"PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": True}}
    assert not list(findings(Resource("Table", "AWS::DynamoDB::Table", backed_up, "records", "a table")))
    assert not list(findings(function("A", "a", Code={"ImageUri": "x"})))
    assert list(findings(function("A", "a", Code={"S3Key": "x"})))


def test_the_settings_of_the_app_leave_the_template_alone():
    files = cdk.render(exported.plain())
    settings = json.loads(files["cdk.json"])
    assert settings.pop("app") == "python3 app.py"
    assert not any(settings.values())
    assert "BootstraplessSynthesizer" in files["app.py"]
    assert "bootstrap\n" not in files["README.md"]
    assert "CliCredentialsStackSynthesizer" in cdk.render(exported.everything())["app.py"]
