"""What exports write down of a stack made by hand: escapes, layout, references."""

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firstlight.deploy import exports
from firstlight.deploy.exports.terraform import hcl
from firstlight.deploy.exports.terraform.words import attribute, snake
from firstlight.deploy.types import Att, Output, Ref, Resource, Stack, Sub
from firstlight.runtime.errors import NotSupported

FUNCTION = Resource(
    "MoodFunction",
    "AWS::Lambda::Function",
    {
        "FunctionName": "demo-mood",
        "Role": Att("MoodRole", "Arn"),
        "PackageType": "Image",
        "Code": {"ImageUri": "host/demo@sha256:1"},
        "Architectures": ["arm64"],
        "LoggingConfig": {"LogGroup": Ref("MoodLogs")},
        "Environment": {
            "Variables": {"A": "${env:B} ${c}", "KEY": "{{resolve:secretsmanager:a/b:SecretString:k}}"}
        },
    },
    "mood",
    "endpoint mood",
)
STACK = Stack(
    "firstlight-demo",
    "project demo",
    (
        Resource(
            "MoodLogs", "AWS::Logs::LogGroup", {"LogGroupName": "/aws/lambda/demo-mood"}, "mood", "logs"
        ),
        Resource(
            "MoodRole",
            "AWS::IAM::Role",
            {
                "AssumeRolePolicyDocument": {"Version": "2012-10-17"},
                "Policies": [
                    {"PolicyName": "logs", "PolicyDocument": {"Resource": [Att("MoodLogs", "Arn")]}}
                ],
            },
            "mood",
            "what it may do",
        ),
        FUNCTION,
        Resource(
            "MoodVersion12", "AWS::Lambda::Version", {"FunctionName": Ref("MoodFunction")}, "mood", "for good"
        ),
        Resource(
            "MoodAlias",
            "AWS::Lambda::Alias",
            {
                "FunctionName": Ref("MoodFunction"),
                "FunctionVersion": Att("MoodVersion12", "Version"),
                "Name": "live",
            },
            "mood",
            "the name",
        ),
        Resource(
            "Table",
            "AWS::DynamoDB::Table",
            {
                "BillingMode": "PAY_PER_REQUEST",
                "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
                "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
            },
            "main",
            "kept",
            keep=True,
        ),
    ),
    (Output("Url", Sub("https://${AWS::Region}/${MoodAlias}/${!Literal}"), "where"),),
    {"project": "demo"},
)


def test_terraform_refers_to_what_it_writes():
    files = exports.render("terraform", STACK)
    assert set(files) == {"README.md", "main.tf", "mood.tf", "main_.tf", "outputs.tf", ".gitignore"}
    mood = files["mood.tf"]
    assert '# endpoint mood\nresource "aws_lambda_function" "mood" {\n' in mood
    assert "publish       = true" in mood
    assert "function_version = aws_lambda_function.mood.version" in mood
    assert 'Resource = ["${aws_cloudwatch_log_group.mood.arn}:*"]' in mood
    assert "depends_on    = [aws_iam_role_policy.mood_logs]" in mood
    assert 'A   = "$${env:B} $${c}"' in mood
    assert 'KEY = jsondecode(data.aws_secretsmanager_secret_version.a_b.secret_string)["k"]' in mood
    assert 'data "aws_secretsmanager_secret_version" "a_b" {\n  secret_id = "a/b"\n}' in files["main.tf"]
    assert "prevent_destroy = true" in files["main_.tf"]
    url = '"https://${data.aws_region.current.region}/${aws_lambda_alias.mood.arn}/$${Literal}"'
    assert f"value       = {url}" in files["outputs.tf"]
    assert "archive" not in files["main.tf"]


def test_serverless_keeps_text_that_looks_like_its_variables():
    text = exports.render("serverless", STACK)["serverless.yml"]
    assert 'A: "\\\\${env:B} ${c}"' in text
    assert "functions:\n\n  # endpoint mood\n  mood:\n    name: demo-mood\n" in text
    assert "FunctionName: !Ref MoodLambdaFunction" in text
    assert "MoodLambdaFunction:\n      Properties:\n        LoggingConfig:" in text
    assert "MoodFunction:" not in text


def test_a_type_that_terraform_does_not_have_is_named():
    other = Resource("Other", "AWS::Ground::Station", {}, "other", "a test")
    with pytest.raises(NotSupported, match="AWS::Ground::Station"):
        exports.render("terraform", Stack("s", "d", (other,), ()))


@given(st.text(max_size=40))
def test_text_stays_text(text: str) -> None:
    quoted = hcl.quoted(text)
    assert "\n" not in quoted
    assert not re.search(r"(?<!\$)(\$\$)*\$\{|(?<!%)(%%)*%\{", quoted.replace("$${", "").replace("%%{", ""))
    plain = quoted.replace("$${", "${").replace("%%{", "%{")
    if text.isprintable() and text.isascii():
        assert json.loads(plain) == text


def test_the_layout_is_that_of_fmt():
    body = {
        "a": 1,
        "long_name": True,
        "map": {"x": "1", "a b": [1.0, 2.5]},
        "b": None,
        "code": "one ${x}\n  two\n",
        "inner": [hcl.Block({"c": "d"}), hcl.Block({})],
        "long": ["x" * 40, "y" * 40],
    }
    assert (
        hcl.document([hcl.Top("resource", ("t", "n"), body, "why"), hcl.Top("data", ("t", "n"))])
        == f"""# why
resource "t" "n" {{
  a         = 1
  long_name = true
  map = {{
    x     = "1"
    "a b" = [1, 2.5]
  }}
  b = null

  code = <<-EOT
    one $${{x}}
      two
  EOT

  long = [
    "{"x" * 40}",
    "{"y" * 40}",
  ]

  inner {{
    c = "d"
  }}

  inner {{}}
}}

data "t" "n" {{}}
"""
    )


@pytest.mark.parametrize(
    ("name", "made"),
    [
        ("MaximumRetryAttempts", "maximum_retry_attempts"),
        ("OriginSSLProtocols", "origin_ssl_protocols"),
        ("VpcId", "vpc_id"),
        ("S3Bucket", "s3_bucket"),
        ("TransitionToIA", "transition_to_ia"),
    ],
)
def test_words(name: str, made: str) -> None:
    assert snake(name) == made


def test_references_have_terraforms_names():
    assert attribute("AWS::SQS::Queue", None) == "url"
    assert attribute("AWS::SQS::Queue", "QueueName") == "name"
    assert attribute("AWS::EC2::VPC", None) == "id"
    assert attribute("AWS::Lambda::Url", "FunctionUrl") == "function_url"
