"""A network without a way out: two subnets, DynamoDB and S3 reached from within, nothing else.

It is there for the file system alone, which Lambda reaches through a network only. There is no NAT gateway: nothing
in it reaches the internet, and nothing costs while nothing is used.
"""

from __future__ import annotations

from collections.abc import Iterator

from firstlight.deploy.types import Att, Ref, Resource, Sub, Value

PART = "cache"
SUBNETS = ("NetworkSubnetA", "NetworkSubnetB")
FUNCTIONS = "NetworkFunctions"
"""The security group of the functions."""
_RANGE = "10.42.0.0/24"
_SUBNET_RANGES = ("10.42.0.0/25", "10.42.0.128/25")
_NFS = 2049


def resources() -> Iterator[Resource]:
    """The network."""
    whole: dict[str, Value] = {"CidrBlock": _RANGE, "EnableDnsSupport": True, "EnableDnsHostnames": True}
    yield Resource(
        "Network", "AWS::EC2::VPC", whole, PART, "a network without a way out, for the file system"
    )
    for number, (subnet, addresses) in enumerate(zip(SUBNETS, _SUBNET_RANGES, strict=True)):
        yield Resource(
            subnet,
            "AWS::EC2::Subnet",
            {
                "VpcId": Ref("Network"),
                "CidrBlock": addresses,
                "AvailabilityZone": {"Fn::Select": [number, {"Fn::GetAZs": ""}]},
            },
            PART,
            "one of two availability zones",
        )
    yield from _routes()
    yield from _groups()


def _routes() -> Iterator[Resource]:
    yield Resource(
        "NetworkRoutes", "AWS::EC2::RouteTable", {"VpcId": Ref("Network")}, PART, "where traffic may go"
    )
    for subnet in SUBNETS:
        yield Resource(
            f"{subnet}Routes",
            "AWS::EC2::SubnetRouteTableAssociation",
            {"SubnetId": Ref(subnet), "RouteTableId": Ref("NetworkRoutes")},
            PART,
            "the subnet has these routes",
        )
    for place in ("dynamodb", "s3"):
        yield Resource(
            f"NetworkTo{'Tables' if place == 'dynamodb' else 'Buckets'}",
            "AWS::EC2::VPCEndpoint",
            {
                "VpcId": Ref("Network"),
                "ServiceName": Sub(f"com.amazonaws.${{AWS::Region}}.{place}"),
                "VpcEndpointType": "Gateway",
                "RouteTableIds": [Ref("NetworkRoutes")],
            },
            PART,
            f"{place} is reached without the internet; free of charge",
        )


def of_functions() -> dict[str, Value]:
    """The property that puts a function into the network."""
    return {
        "VpcConfig": {
            "SubnetIds": [Ref(subnet) for subnet in SUBNETS],
            "SecurityGroupIds": [Ref(FUNCTIONS)],
        },
    }


def _groups() -> Iterator[Resource]:
    https: dict[str, Value] = {"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443, "CidrIp": "0.0.0.0/0"}
    nfs: dict[str, Value] = {"IpProtocol": "tcp", "FromPort": _NFS, "ToPort": _NFS, "CidrIp": _RANGE}
    yield Resource(
        FUNCTIONS,
        "AWS::EC2::SecurityGroup",
        {
            "GroupDescription": "functions: out to the file system, DynamoDB and S3",
            "VpcId": Ref("Network"),
            "SecurityGroupEgress": [
                {**https, "Description": "DynamoDB and S3, which is all that the routes lead to"},
                {**nfs, "Description": "the file system"},
            ],
        },
        PART,
        "what functions may reach; nothing reaches them",
    )
    yield Resource(
        "NetworkFiles",
        "AWS::EC2::SecurityGroup",
        {
            "GroupDescription": "file system: in from the functions",
            "VpcId": Ref("Network"),
            "SecurityGroupIngress": [
                {
                    "IpProtocol": "tcp",
                    "FromPort": _NFS,
                    "ToPort": _NFS,
                    "SourceSecurityGroupId": Att(FUNCTIONS, "GroupId"),
                    "Description": "NFS from the functions",
                },
            ],
        },
        PART,
        "the file system is reached by the functions only",
    )
