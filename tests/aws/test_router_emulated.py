"""The router and the jobs' function as zips in the emulator's containers: Function URL, functions, queue and tables."""

from __future__ import annotations

import json
import urllib.error
import urllib.request

import pytest

from firstlight import project as projects
from firstlight import starters
from firstlight.build.lock.types import Lock
from firstlight.build.pack import archive, contents, router
from firstlight.build.pack.types import Target
from firstlight.build.types import Silent
from firstlight.jobs.dynamodb import create_table
from firstlight.runtime.aws.calling import Api
from firstlight.runtime.records import dynamodb_store

PROJECT = """
name = "routed"
[endpoints.mood]
model = "starter:sentiment"
[endpoints.story]
script = "story.py"
"""
STORY = """
def handler(event, context):
    if event.get("inputs") == "fail":
        raise ValueError("boom")
    return {"told": event, "arn": context.invoked_function_arn}
"""
ROLE = "arn:aws:iam::123456789012:role/any"


class Cloud:
    """What was put into the emulator, and requests to the router's Function URL."""

    def __init__(self, emulator, folder):
        self.emulator = emulator
        self.clients = {name: emulator.client(name) for name in ("lambda", "sqs", "dynamodb")}
        (folder / "firstlight.toml").write_text(PROJECT)
        (folder / "story.py").write_text(STORY)
        project = starters.with_tasks(projects.load(folder))
        packed = router.of_router(
            project,
            {"mood": starters.path("sentiment")},
            Lock(),
            Target(emulator.architecture, "3.13"),
            Silent(),
        )
        create_table(self.clients["dynamodb"], "routed-jobs")
        records = Api("dynamodb", emulator.variables())
        dynamodb_store.create_table(records, "routed-records")
        records.close()
        queue = self.clients["sqs"].create_queue(
            QueueName="routed-jobs", Attributes={"VisibilityTimeout": "5400"}
        )["QueueUrl"]
        arn = f"arn:aws:sqs:{emulator.region}:{emulator.account}:routed-jobs"
        env = {
            **archive.environment(packed),
            "FIRSTLIGHT_PROJECT": "routed",
            "FIRSTLIGHT_STAGE": "",
            "FIRSTLIGHT_RECORDS_TABLE": "routed-records",
            "FIRSTLIGHT_JOBS_TABLE": "routed-jobs",
            "FIRSTLIGHT_JOBS_QUEUE": queue,
        }
        code = archive.write(packed, folder / "zips").path.read_bytes()
        story = contents.of_endpoint(
            project, project.endpoints["story"], None, Lock(), packed.target, Silent()
        )
        kept = {
            "FIRSTLIGHT_ENDPOINT": "story",
            "FIRSTLIGHT_RECORDS_TABLE": "routed-records",
            "FIRSTLIGHT_RECORDS_STORE": "redacted",
        }
        self.function(
            "routed-story",
            archive.write(story, folder / "zips").path.read_bytes(),
            story.handler,
            {**archive.environment(story), **kept},
        )
        self.function("routed-router", code, packed.handler, env)
        self.function("routed-jobs", code, router.JOBS_HANDLER, env)
        aws = self.clients["lambda"]
        aws.create_event_source_mapping(
            FunctionName="routed-jobs",
            EventSourceArn=arn,
            BatchSize=1,
            FunctionResponseTypes=["ReportBatchItemFailures"],
        )
        self.url = aws.create_function_url_config(
            FunctionName="routed-router", AuthType="NONE", InvokeMode="RESPONSE_STREAM"
        )["FunctionUrl"]

    def function(self, name, code, handler, env):
        aws = self.clients["lambda"]
        aws.create_function(
            FunctionName=name,
            Runtime="python3.13",
            Role=ROLE,
            Handler=handler,
            Code={"ZipFile": code},
            Timeout=60,
            MemorySize=512,
            Environment={"Variables": env},
            Architectures=[self.emulator.architecture],
        )
        aws.get_waiter("function_active_v2").wait(FunctionName=name)
        version = aws.publish_version(FunctionName=name)["Version"]
        aws.create_alias(FunctionName=name, Name="live", FunctionVersion=version)

    def ask(self, method, path, body=None, **headers):
        """Status, headers and body of an answer."""
        url, host = self.emulator.function_url(self.url, path)
        data = None if body is None else json.dumps(body).encode()
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        if data is not None:
            named.setdefault("content-type", "application/json")
        request = urllib.request.Request(url, data, {**named, "host": host}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=120) as answer:
                return answer.status, dict(answer.headers.items()), answer.read()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, dict(error.headers.items()), error.read()

    def close(self):
        aws = self.clients["lambda"]
        for mapping in aws.list_event_source_mappings(FunctionName="routed-jobs")["EventSourceMappings"]:
            aws.delete_event_source_mapping(UUID=mapping["UUID"])
        for name in ("routed-router", "routed-jobs", "routed-story"):
            aws.delete_function(FunctionName=name)
        for client in self.clients.values():
            client.close()


@pytest.fixture(scope="module")
def cloud(emulator, tmp_path_factory):
    made = Cloud(emulator, tmp_path_factory.mktemp("routed"))
    yield made
    made.close()


def test_the_router_answers_by_its_function_url(cloud):
    status, headers, page = cloud.ask("GET", "/", accept="text/html")
    assert (status, headers["content-type"]) == (200, "text/html; charset=utf-8"), cloud.emulator.log()[
        -3000:
    ]
    assert b"mood" in page
    status, _, page = cloud.ask("GET", "/endpoints/mood", accept="text/html")  # /health is the emulator's own
    assert status == 200
    assert b"text-classification" in page


def test_it_invokes_the_alias_of_a_function(cloud):
    status, _, told = cloud.ask("POST", "/2015-03-31/functions/story/invocations", {"inputs": "hi"})
    assert (status, json.loads(told).get("told")) == (200, {"inputs": "hi"}), told
    status, headers, told = cloud.ask("POST", "/2015-03-31/functions/story/invocations", {"inputs": "fail"})
    assert headers["x-amz-function-error"] == "Unhandled"
    assert json.loads(told)["errorMessage"] == "boom"
    assert cloud.ask("POST", "/models/none", {"inputs": "hi"})[0] == 404


def test_each_invocation_left_a_record(cloud):
    path = "/2015-03-31/functions/story/invocations"
    for _ in range(2):  # the first one's record is there when the second one is answered
        cloud.ask("POST", path, {"inputs": "mail ada@example.com"})
    store = dynamodb_store.DynamoStore("routed-records", Api("dynamodb", cloud.emulator.variables()))
    found = [
        record for record in store.list(endpoint="story") if record["inputs"] == '{"inputs":"mail [email]"}'
    ]
    store.close()
    assert found
    assert (found[0]["status"], found[0]["cold"]) == ("ok", False)


def test_a_job_is_worked_off_by_the_queue_s_function(cloud):
    status, headers, told = cloud.ask("POST", "/models/story", {"inputs": "later"}, prefer="respond-async")
    assert status == 202, told
    place = {name.lower(): value for name, value in headers.items()}["location"]
    found = json.loads(told)
    for _ in range(300):
        if found["status"] not in ("starting", "processing"):
            break
        status, _, told = cloud.ask("GET", place)
        found = json.loads(told)
    assert (status, found["status"]) == (200, "succeeded"), found
    assert json.loads(cloud.ask("GET", f"{place}/result")[2])["told"]["inputs"] == "later"
