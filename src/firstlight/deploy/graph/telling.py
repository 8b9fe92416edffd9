"""Topics: what one of AWS's services has to say, for whoever subscribed."""

from __future__ import annotations

from collections.abc import Iterator

from firstlight.deploy.graph.rights import document
from firstlight.deploy.types import Ref, Resource, Value


def topic(logical_id: str, principal: str, part: str, why: str) -> Iterator[Resource]:
    """A topic that one of AWS's services may publish to, in the name of this account only."""
    yield Resource(logical_id, "AWS::SNS::Topic", {}, part, why)
    publish: dict[str, Value] = {
        "Effect": "Allow",
        "Principal": {"Service": principal},
        "Action": ["sns:Publish"],
        "Resource": [Ref(logical_id)],
        "Condition": {"StringEquals": {"aws:SourceAccount": Ref("AWS::AccountId")}},
    }
    unencrypted: dict[str, Value] = {
        "Effect": "Deny",
        "Principal": "*",
        "Action": ["sns:Publish"],
        "Resource": [Ref(logical_id)],
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }
    yield Resource(
        f"{logical_id}Policy",
        "AWS::SNS::TopicPolicy",
        {"Topics": [Ref(logical_id)], "PolicyDocument": document(publish, unencrypted)},
        part,
        f"{principal} may publish, over TLS",
    )


def mail(logical_id: str, to: str, address: str, part: str) -> Resource:
    """A subscription by mail; whoever reads that mail has to confirm it once."""
    return Resource(
        logical_id,
        "AWS::SNS::Subscription",
        {"TopicArn": Ref(to), "Protocol": "email", "Endpoint": address},
        part,
        "mail, once its reader has confirmed the subscription",
    )
