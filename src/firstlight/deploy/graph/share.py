"""A share front: a CloudFront distribution that lets those through who have a signed link, and nobody else."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

from firstlight.deploy.graph.router import ALIAS, URL
from firstlight.deploy.graph.site import Site
from firstlight.deploy.types import Att, Output, Ref, Resource, Sub, Value
from firstlight.runtime.errors import ProjectError

PART = "share"
_NOT_CACHED = "4135ea2d-6df8-44a3-9df3-4b5a84be39ad"
"""AWS's cache policy CachingDisabled."""
_ALL_BUT_HOST = "b689b0a8-53d0-40ab-baf2-68738e2966ac"
"""AWS's origin request policy AllViewerExceptHostHeader: a Function URL wants its own host in Host."""
_METHODS = ("GET", "HEAD", "OPTIONS", "PUT", "PATCH", "POST", "DELETE")
_SILENCE = 60
"""Seconds without a byte after which CloudFront gives up; streams send a line every 15."""
_PATH = "/share"
"""Where a link leads; all other paths ask for the cookies that it leaves behind."""
_CODE = """// A link's signature becomes cookies, which CloudFront checks on every path but this one.
function handler(event) {
  var asked = event.request.querystring;
  var names = { policy: "CloudFront-Policy", signature: "CloudFront-Signature", key: "CloudFront-Key-Pair-Id" };
  var cookies = {};
  for (var name in names) {
    if (asked[name]) {
      cookies[names[name]] = { value: asked[name].value, attributes: "Path=/; Secure; HttpOnly; SameSite=Lax" };
    }
  }
  var headers = { location: { value: "/" }, "cache-control": { value: "no-store" } };
  return { statusCode: 302, statusDescription: "Found", headers: headers, cookies: cookies };
}
"""
_MAKE = "openssl genrsa 2048 > share.pem; openssl rsa -in share.pem -pubout > share.pub.pem"


def resources(site: Site) -> Iterator[Resource]:
    """The distribution, the key that links are checked with, and its right to use the router's URL.

    Raises:
        ProjectError: the key's file is missing, or is none.
    """
    yield from _keys(site)
    yield Resource(
        "ShareAccess",
        "AWS::CloudFront::OriginAccessControl",
        {
            "OriginAccessControlConfig": {
                "Name": _name(site),
                "OriginAccessControlOriginType": "lambda",
                "SigningBehavior": "always",
                "SigningProtocol": "sigv4",
            },
        },
        PART,
        "CloudFront signs what it sends to the router",
    )
    yield Resource(
        "ShareEntrance",
        "AWS::CloudFront::Function",
        {
            "Name": _name(site),
            "AutoPublish": True,
            "FunctionConfig": {"Comment": "a link becomes cookies", "Runtime": "cloudfront-js-2.0"},
            "FunctionCode": _CODE,
        },
        PART,
        f"{_PATH}?policy=...&signature=...&key=... leaves cookies and leads to the page",
    )
    yield _distribution(site)
    yield from _permissions()


def outputs(site: Site) -> Iterator[Output]:
    """Where it is, and which key signs its links."""
    yield Output(
        "ShareUrl",
        Sub("https://${ShareDistribution.DomainName}"),
        "for those with a signed link, which leads to /share",
    )
    yield Output(
        "ShareKeyId", Ref(f"ShareKey{_mark(_key(site))}"), "id of the key that links are signed with"
    )


def _keys(site: Site) -> Iterator[Resource]:
    """A key cannot be changed: another one is another resource, of another name."""
    key = _key(site)
    name = f"{_name(site)}-{_mark(key)}"
    yield Resource(
        f"ShareKey{_mark(key)}",
        "AWS::CloudFront::PublicKey",
        {"PublicKeyConfig": {"Name": name, "CallerReference": name, "EncodedKey": key}},
        PART,
        "what links are checked with",
    )
    yield Resource(
        "ShareKeys",
        "AWS::CloudFront::KeyGroup",
        {"KeyGroupConfig": {"Name": _name(site), "Items": [Ref(f"ShareKey{_mark(key)}")]}},
        PART,
        "the keys whose links are let through",
    )


def _name(site: Site) -> str:
    """CloudFront is in no region: names are those of the whole account."""
    return f"{site.names.prefix[:40]}-{site.account.region}"


def _mark(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()[:8]


def _distribution(site: Site) -> Resource:
    signed, entrance = _behaviours()
    return Resource(
        "ShareDistribution",
        "AWS::CloudFront::Distribution",
        {
            "DistributionConfig": {
                "Comment": f"firstlight: {site.names.prefix}"[:128],
                "Enabled": True,
                "HttpVersion": "http2and3",
                "IPV6Enabled": True,
                "PriceClass": "PriceClass_100",
                "Origins": [_origin()],
                "DefaultCacheBehavior": signed,
                "CacheBehaviors": [entrance],
            },
        },
        PART,
        "lets those with a signed link to the router; nothing is cached; silent for 60 s at most",
    )


def _behaviours() -> tuple[dict[str, Value], dict[str, Value]]:
    """What all paths but one ask for, and that one."""
    common: dict[str, Value] = {
        "TargetOriginId": "router",
        "ViewerProtocolPolicy": "redirect-to-https",
        "CachePolicyId": _NOT_CACHED,
        # Compressing would hold back what is streamed.
        "Compress": False,
    }
    signed: dict[str, Value] = {
        **common,
        "AllowedMethods": list(_METHODS),
        "OriginRequestPolicyId": _ALL_BUT_HOST,
        "TrustedKeyGroups": [Ref("ShareKeys")],
    }
    # The entrance answers by itself: what has no signature yet never gets to the router.
    entrance: dict[str, Value] = {
        **common,
        "PathPattern": _PATH,
        "AllowedMethods": ["GET", "HEAD"],
        "FunctionAssociations": [
            {"EventType": "viewer-request", "FunctionARN": Att("ShareEntrance", "FunctionARN")},
        ],
    }
    return signed, entrance


def _origin() -> dict[str, Value]:
    # https://ID.lambda-url.REGION.on.aws/ split at its slashes: the third part is the host.
    host: dict[str, Value] = {"Fn::Select": [2, {"Fn::Split": ["/", Att(URL, "FunctionUrl")]}]}
    return {
        "Id": "router",
        "DomainName": host,
        "OriginAccessControlId": Ref("ShareAccess"),
        "CustomOriginConfig": {
            "OriginProtocolPolicy": "https-only",
            "OriginSSLProtocols": ["TLSv1.2"],
            "OriginReadTimeout": _SILENCE,
        },
    }


def _permissions() -> Iterator[Resource]:
    """Since 2025 a Function URL asks for both."""
    source = Sub("arn:${AWS::Partition}:cloudfront::${AWS::AccountId}:distribution/${ShareDistribution}")
    common: dict[str, Value] = {
        "FunctionName": Ref(ALIAS),
        "Principal": "cloudfront.amazonaws.com",
        "SourceArn": source,
    }
    kind = "AWS::Lambda::Permission"
    yield Resource(
        "ShareUrlPermission",
        kind,
        {**common, "Action": "lambda:InvokeFunctionUrl", "FunctionUrlAuthType": "AWS_IAM"},
        PART,
        "this distribution may use the router's URL",
    )
    yield Resource(
        "ShareInvokePermission",
        kind,
        {**common, "Action": "lambda:InvokeFunction", "InvokedViaFunctionUrl": True},
        PART,
        "and so invoke the router, through its URL only",
    )


def _key(site: Site) -> str:
    wished = site.project.deployment.share_key
    if not wished:
        raise ProjectError(
            "[deploy] share = true without share_key", f"name the file of a public key, made by: {_MAKE}"
        )
    path = (site.project.root or Path()) / wished
    try:
        text = path.read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError) as error:
        raise ProjectError(
            f"[deploy] share_key: {path} cannot be read as a public key", f"make one: {_MAKE}"
        ) from error
    if "BEGIN PUBLIC KEY" not in text:
        raise ProjectError(f"[deploy] share_key: {path} is not a public key in PEM", f"make one: {_MAKE}")
    return text.strip() + "\n"
