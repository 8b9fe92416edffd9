from __future__ import annotations

from firstlight.deploy.aws.errors import AwsError
from firstlight.deploy.aws.stacks import There
from firstlight.deploy.tailing import Logs, groups_of


class CloudWatch:
    """Log groups with events, in pages of two."""

    def __init__(self, **groups):
        self.groups = groups

    def client(self, name):
        assert name == "logs"
        return self

    def pages(self, operation, **asked):
        if asked["logGroupName"] not in self.groups:
            raise AwsError("there is none", reason="ResourceNotFoundException")
        events = [one for one in self.groups[asked["logGroupName"]] if one["timestamp"] >= asked["startTime"]]
        for start in range(0, max(len(events), 1), 2):
            yield {"events": events[start : start + 2]}


def event(when, text, event_id=None, stream="s"):
    named = {"eventId": event_id} if event_id else {}
    return {"timestamp": int(when * 1000), "message": text, "logStreamName": stream, **named}


def texts(lines):
    return [(line.source, line.text) for line in lines]


def test_lines_of_several_groups_come_in_the_order_of_time():
    cloud = CloudWatch(a=[event(1, "one\n", "1"), event(3, "three", "3")], b=[event(2, "two", "2")])
    logs = Logs(cloud, {"a": "mood", "b": "router"})
    assert texts(logs.newest(0, 100)) == [("mood", "one"), ("router", "two"), ("mood", "three")]


def test_the_newest_are_kept_and_the_others_are_not_given_later():
    cloud = CloudWatch(a=[event(100 + n, str(n), str(n)) for n in range(5)])
    logs = Logs(cloud, {"a": "mood"})
    assert texts(logs.newest(0, 2)) == [("mood", "3"), ("mood", "4")]
    assert logs.after(104) == []


def test_what_comes_late_is_given_and_nothing_twice():
    events = [event(100, "early", "1"), event(110, "latest", "2")]
    cloud = CloudWatch(a=events)
    logs = Logs(cloud, {"a": "mood"})
    logs.newest(0, 10)
    events.insert(1, event(105, "late", "3"))
    events.append(event(111, "new", "4"))
    assert texts(logs.after(110)) == [("mood", "late"), ("mood", "new")]
    assert logs.after(111) == []


def test_equal_lines_without_ids_are_told_apart():
    cloud = CloudWatch(a=[event(1, "again"), event(1, "again"), event(1, "again", stream="t")])
    logs = Logs(cloud, {"a": "mood"})
    assert len(logs.newest(0, 10)) == 3
    assert logs.after(1) == []


def test_a_group_that_is_not_there_has_no_lines():
    assert Logs(CloudWatch(), {"a": "mood"}).newest(0, 10) == []


def test_groups_are_called_after_their_functions():
    resources = {
        "MoodLogs": There("MoodLogs", "AWS::Logs::LogGroup", "/aws/lambda/demo-mood", "CREATE_COMPLETE"),
        "Mood": There("Mood", "AWS::Lambda::Function", "demo-mood", "CREATE_COMPLETE"),
        "Access": There("Access", "AWS::Logs::LogGroup", "/aws/apigateway/demo", "CREATE_COMPLETE"),
    }
    assert groups_of(resources, {"demo-mood": "mood"}) == {
        "/aws/apigateway/demo": "/aws/apigateway/demo",
        "/aws/lambda/demo-mood": "mood",
    }
