"""What is different between entries of a lock, and between an entry and what firstlight.toml asks for."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from lock_entries import entries, made

from firstlight.build import lock
from firstlight.build.types import SourceFile, Wish
from firstlight.project import Endpoint

MOOD = Endpoint("mood", model="hf:owner/name")


@given(entries)
def test_nothing_is_different_from_itself(entry: lock.Lock) -> None:
    assert lock.differences(entry, entry) == []


@given(entries, entries)
def test_entries_that_differ_are_told_apart(one: lock.Lock, other: lock.Lock) -> None:
    assert bool(lock.differences(one, other)) == (replace(one, asked={}) != replace(other, asked={}))


def test_every_kind_of_difference_has_its_sentence() -> None:
    files = (
        SourceFile("README.md", 1200, "3" * 64),
        SourceFile("config.json", 612, "4" * 64),
        SourceFile("model.safetensors", 5000, "5" * 64),
    )
    before = made(files=(*made().files, SourceFile("vocab.txt", 9, "6" * 64)))
    after = made(
        digest="c" * 64,
        revision="d" * 40,
        licence=None,
        task="fill-mask",
        files=files,
        tools={"firstlight": "0.2.0", "onnx": "1.19"},
        allow_pickle=True,
    )
    assert lock.differences(before, after) == [
        "revision: bbbbbbbbbbbb -> dddddddddddd",
        "licence: apache-2.0 -> none",
        "task: text-classification -> fill-mask",
        "allow_pickle: needed now",
        "file README.md: added, 1,200 bytes",
        "file config.json: changed, 612 bytes",
        "file model.safetensors: changed, 4,096 -> 5,000 bytes",
        "file vocab.txt: removed, 9 bytes",
        "tool firstlight: 0.1.0 -> 0.2.0",
        "tool numpy: 2.4.6 -> none",
        "tool onnx: none -> 1.19",
        "bundle: aaaaaaaaaaaa -> cccccccccccc",
    ]


@pytest.mark.parametrize(
    ("asked", "wish", "said"),
    [
        ({}, Wish("hf:owner/name"), []),
        ({}, Wish("https://hub.example/owner/name"), []),
        ({}, Wish("hf:owner/name", "text-classification", "fp32"), []),
        ({"precision": "fp32"}, Wish("hf:owner/name", precision="fp32"), []),
        ({}, Wish("hf:owner/name", allow_pickle=True, trust_remote_code=True), []),
        ({}, Wish("hf:owner/other"), ["model: hf:owner/name in the lock, hf:owner/other in firstlight.toml"]),
        (
            {},
            Wish("hf:owner/name@v1"),
            ["model: hf:owner/name in the lock, hf:owner/name@v1 in firstlight.toml"],
        ),
        (
            {},
            Wish("hf:owner/name", precision="int8"),
            ["quantize: left open in the lock, int8 in firstlight.toml"],
        ),
        (
            {"precision": "fp32"},
            Wish("hf:owner/name"),
            ["quantize: fp32 in the lock, left open in firstlight.toml"],
        ),
        (
            {"task": "text-classification"},
            Wish("hf:owner/name", task="fill-mask"),
            ["task: text-classification in the lock, fill-mask in firstlight.toml"],
        ),
    ],
)
def test_a_wish_that_is_another_one_is_said(asked: dict[str, str], wish: Wish, said: list[str]) -> None:
    assert lock.unasked(made(asked=asked), wish) == said


def test_a_permission_that_was_taken_back_is_said() -> None:
    (said,) = lock.unasked(made(allow_pickle=True), Wish("hf:owner/name"))
    assert said.startswith("allow_pickle: needed by what is in the lock")


def test_the_entry_of_an_endpoint_is_the_one_that_stands_for_it() -> None:
    plain, quick = made(), made(precision="int8", asked={"precision": "int8"})
    locked = lock.Lock({"mood": plain}, stages={"prod": {"mood": quick}})
    int8 = replace(MOOD, quantize="int8")
    assert lock.for_endpoint(locked, MOOD) is plain
    assert lock.for_endpoint(locked, int8) is quick
    assert lock.for_endpoint(locked, int8, "prod") is quick
    assert lock.for_endpoint(locked, MOOD, "prod") is plain
    assert lock.for_endpoint(locked, int8, "test") is None
    assert lock.for_endpoint(locked, replace(MOOD, name="other")) is None
    assert lock.for_endpoint(locked, replace(MOOD, model="hf:owner/other")) is None


def test_caches_and_endpoints_are_laid_over_a_lock() -> None:
    caches = lock.Caches("c" * 64, 1, "d" * 64)
    locked = (
        lock.Lock()
        .with_endpoint("mood", made())
        .with_endpoint("mood", made(), "prod")
        .with_caches("a", caches)
    )
    assert locked.entry("mood") == locked.entry("mood", "prod") == made()
    assert locked.without("mood", "prod") == lock.Lock({"mood": made()}, {"a": caches})
    assert locked.without("mood").with_caches("a", None) == lock.Lock(stages={"prod": {"mood": made()}})
    assert locked.entry("mood", "test") is None
