"""A file system at /mnt/cache of every endpoint: EFS, or a bucket seen as files (S3 Files)."""

from __future__ import annotations

from collections.abc import Iterator

from firstlight.deploy.graph import network
from firstlight.deploy.graph.rights import allow, deny, document, role, trusting
from firstlight.deploy.graph.site import Site
from firstlight.deploy.types import Att, Ref, Resource, Sub, Value

PART = network.PART
_MOUNT = "/mnt/cache"
_USER = "1000"
_RIGHTS = "0750"
_ARN = "arn:${{AWS::Partition}}:{}:${{AWS::Region}}:${{AWS::AccountId}}"
_FILES_ROLE = "elasticfilesystem.amazonaws.com"
"""S3 Files runs on EFS and takes roles by its name."""


def resources(site: Site) -> Iterator[Resource]:
    """The network and what is in it."""
    yield from network.resources()
    if site.project.deployment.cache == "efs":
        yield from _efs()
    else:
        yield from _s3_files(site)


def of_functions(site: Site) -> dict[str, Value]:
    """The properties of functions that have it."""
    config: dict[str, Value] = {"Arn": _access_point(site), "LocalMountPath": _MOUNT}
    return {**network.of_functions(), "FileSystemConfigs": [config]}


def needed() -> tuple[str, ...]:
    """What must be there before a function that mounts it."""
    return tuple(f"CacheMount{subnet[-1]}" for subnet in network.SUBNETS)


def rights(site: Site, function: str) -> list[dict[str, Value]]:
    """What a role needs to have it: network interfaces of its own, and the files.

    Args:
        function: name of the role's function.
    """
    efs = site.project.deployment.cache == "efs"
    prefix = "elasticfilesystem" if efs else "s3files"
    files = allow(
        (f"{prefix}:ClientMount", f"{prefix}:ClientWrite"),
        (Att("CacheFiles", "Arn" if efs else "FileSystemArn"),),
        {"StringEquals": {f"{prefix}:AccessPointArn": _access_point(site)}},
    )
    direct = [] if efs else [allow(("s3:GetObject", "s3:GetObjectVersion"), (Sub("${CacheBucket.Arn}/*"),))]
    return [*_interfaces(function), files, *direct]


def _access_point(site: Site) -> Att:
    return Att("CacheAccess", "Arn" if site.project.deployment.cache == "efs" else "AccessPointArn")


def _interfaces(function: str) -> Iterator[dict[str, Value]]:
    """Lambda makes network interfaces in the name of the function's role; the function's code itself may not."""
    making = ("ec2:CreateNetworkInterface", "ec2:DeleteNetworkInterface")
    addressing = ("ec2:AssignPrivateIpAddresses", "ec2:UnassignPrivateIpAddresses")
    describing = ("ec2:DescribeNetworkInterfaces", "ec2:DescribeSubnets")
    # Lambda refuses roles whose right to delete interfaces names single ones (developer guide, "VPC").
    yield allow((*making, *addressing), (Sub(f"{_ARN.format('ec2')}:*/*"),))
    yield allow(describing, ("*",))
    code = Sub(f"{_ARN.format('lambda')}:function:{function}")
    yield deny((*making, *addressing, *describing), ("*",), {"ArnEquals": {"lambda:SourceFunctionArn": code}})


def _efs() -> Iterator[Resource]:
    yield Resource(
        "CacheFiles",
        "AWS::EFS::FileSystem",
        {
            "Encrypted": True,
            "PerformanceMode": "generalPurpose",
            "ThroughputMode": "elastic",
            "LifecyclePolicies": [{"TransitionToIA": "AFTER_30_DAYS"}],
        },
        PART,
        "files that functions share",
        keep=True,
    )
    yield from _mounts("AWS::EFS::MountTarget", Ref("CacheFiles"))
    yield Resource(
        "CacheAccess",
        "AWS::EFS::AccessPoint",
        {"FileSystemId": Ref("CacheFiles"), **_folder("CreationInfo")},
        PART,
        "one folder of it, and whose it is",
    )


def _s3_files(site: Site) -> Iterator[Resource]:
    yield from _bucket()
    yield role(
        "CacheRole",
        PART,
        "S3 Files keeps files and bucket alike",
        site.names.stack,
        {"bucket": _bucket_rights(), "events": _event_rights()},
        trust=trusting(_FILES_ROLE, {"StringEquals": {"aws:SourceAccount": Ref("AWS::AccountId")}}),
    )
    yield Resource(
        "CacheFiles",
        "AWS::S3Files::FileSystem",
        {"Bucket": Att("CacheBucket", "Arn"), "RoleArn": Att("CacheRole", "Arn")},
        PART,
        "the bucket as files",
    )
    yield from _mounts("AWS::S3Files::MountTarget", Att("CacheFiles", "FileSystemId"))
    yield Resource(
        "CacheAccess",
        "AWS::S3Files::AccessPoint",
        {"FileSystemId": Att("CacheFiles", "FileSystemId"), **_folder("CreationPermissions")},
        PART,
        "one folder of it, and whose it is",
    )


def _bucket() -> Iterator[Resource]:
    shut = ("BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets")
    yield Resource(
        "CacheBucket",
        "AWS::S3::Bucket",
        {
            "VersioningConfiguration": {"Status": "Enabled"},
            "PublicAccessBlockConfiguration": dict.fromkeys(shut, True),
            "LifecycleConfiguration": {
                "Rules": [
                    {
                        "Id": "earlier-versions",
                        "Status": "Enabled",
                        "NoncurrentVersionExpiration": {"NoncurrentDays": 7},
                    },
                ],
            },
        },
        PART,
        "the files; S3 Files asks for versions, which go after a week",
        keep=True,
    )
    places = (Att("CacheBucket", "Arn"), Sub("${CacheBucket.Arn}/*"))
    unencrypted = deny(("s3:*",), places, {"Bool": {"aws:SecureTransport": "false"}})
    yield Resource(
        "CacheBucketPolicy",
        "AWS::S3::BucketPolicy",
        {"Bucket": Ref("CacheBucket"), "PolicyDocument": document({**unencrypted, "Principal": "*"})},
        PART,
        "nobody reaches the bucket without TLS",
    )


def _bucket_rights() -> list[dict[str, Value]]:
    objects = ("AbortMultipartUpload", "DeleteObject*", "GetObject*", "List*", "PutObject*")
    return [
        allow(("s3:ListBucket", "s3:ListBucketVersions"), (Att("CacheBucket", "Arn"),)),
        allow([f"s3:{action}" for action in objects], (Sub("${CacheBucket.Arn}/*"),)),
    ]


def _event_rights() -> list[dict[str, Value]]:
    """S3 Files hears of changes in the bucket by rules that it makes, with names of its own."""
    changing = ("DeleteRule", "DisableRule", "EnableRule", "PutRule", "PutTargets", "RemoveTargets")
    reading = ("DescribeRule", "ListRuleNamesByTarget", "ListRules", "ListTargetsByRule")
    rules = _ARN.format("events") + ":rule"
    managed: dict[str, Value] = {"StringEquals": {"events:ManagedBy": _FILES_ROLE}}
    return [
        allow(
            [f"events:{action}" for action in changing], (Sub(f"{rules}/DO-NOT-DELETE-S3-Files*"),), managed
        ),
        allow([f"events:{action}" for action in reading], (Sub(f"{rules}/*"),)),
    ]


def _mounts(kind: str, files: Ref | Att) -> Iterator[Resource]:
    for subnet in network.SUBNETS:
        yield Resource(
            f"CacheMount{subnet[-1]}",
            kind,
            {
                "FileSystemId": files,
                "SubnetId": Ref(subnet),
                "SecurityGroups": [Att("NetworkFiles", "GroupId")],
            },
            PART,
            "the file system, in one of the subnets",
        )


def _folder(creation: str) -> dict[str, Value]:
    """Where an access point leads to. EFS and S3 Files have different names for whose a new folder is."""
    owner: dict[str, Value] = {"OwnerUid": _USER, "OwnerGid": _USER, "Permissions": _RIGHTS}
    return {
        "PosixUser": {"Uid": _USER, "Gid": _USER},
        "RootDirectory": {"Path": "/cache", creation: owner},
    }
