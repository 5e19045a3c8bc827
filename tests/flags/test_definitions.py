"""What is refused, with file, flag and reason, while the rest is served."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flags.checks import MAX_DEPTH, check_flag, check_schema, check_shape, is_surely_valid
from flags.definition import FlagType
from flags.definitions import read_definitions
from flags.errors import DefinitionsUnreadable, InvalidDefinition
from flags.evaluation import FlagSet
from flags.files import MAX_FILE_BYTES
from flags.subject import Subject
from flags.targeting import compile_targeting
from flags.vocabulary import Vocabulary
from tests.flags.writing import BUCKETING, PINNED, component, flag, read, write


def _deep(levels: int) -> Any:
    rule: Any = {"var": "persona"}
    for _ in range(levels):
        rule = {"!": [rule]}
    return {"if": [rule, "v1", "v2"]}


def _split(*entries: Any, bucketing: Any = BUCKETING, **metadata: Any) -> dict[str, Any]:
    return flag({"fractional": [bucketing, *entries]}, metadata={**PINNED, **metadata})


BAD: dict[str, tuple[Any, str]] = {
    "no object": (["v1"], "a flag is an object"),
    "no state": ({"variants": {"v1": "v1"}}, "'state' is a required property"),
    "wrong state": (flag(state="ON"), "at state"),
    "no variants": (flag(variants={}), "at variants"),
    "mixed variants": (flag(variants={"v1": "v1", "v2": True}), "at variants"),
    "variants of null": (flag(variants={"v1": None}), "at variants"),
    "unknown field": (flag(owner="me"), "'owner' was unexpected"),
    "unknown default": (flag(defaultVariant="v9"), "the default variant 'v9'"),
    "default is no text": (flag(defaultVariant=True), "at defaultVariant"),
    "variant alphabet": (flag(variants={"v 1": "v1"}, defaultVariant=None), "the variant 'v 1'"),
    "number too large": (flag(variants={"v1": 2**53}), "2^53"),
    "number beyond 64 bits": (flag(variants={"v1": 2**64}), "no JSON form"),
    "metadata of null": (flag(metadata={"owner": None}), "at metadata/owner"),
    "unknown operator": (flag({"equals": [{"var": "persona"}, "VISITOR"]}), "the operator 'equals'"),
    "operator that prints": (flag({"log": ["v1"]}), "the operator 'log'"),
    "two operators": (flag({"==": [1, 1], "!": [1]}), "at targeting"),
    "too few operands": (flag({"==": [{"var": "persona"}]}), "at targeting/=="),
    "unknown variant": (flag({"if": [{"var": "persona"}, "v9", "v1"]}), "gives 'v9'"),
    "variant no text": (flag({"if": [{"var": "persona"}, 1, "v1"]}), "gives 1"),
    "boolean variant that is not there": (flag({"if": [{"var": "persona"}, True, "v1"]}), "gives True"),
    "split gives unknown variant": (_split(["v9", 1]), "gives 'v9'"),
    "unknown attribute": (flag({"if": [{"var": "perona"}, "v1", "v2"]}), "'perona' is no attribute"),
    "whole context": (flag({"if": [{"var": ""}, "v1", "v2"]}), "is no attribute"),
    "unknown missing": (flag({"if": [{"missing": ["perona"]}, "v1", "v2"]}), "'perona' is no attribute"),
    "unknown persona": (flag({"if": [{"==": [{"var": "persona"}, "SELLER"]}, "v1", "v2"]}), "'SELLER' is no persona"),
    "unknown season": (flag({"if": [{"in": [{"var": "season"}, ["MAY"]]}, "v1", "v2"]}), "'MAY' is no season"),
    "device on the right": (flag({"if": [{"!=": ["TV", {"var": "device"}]}, "v1", "v2"]}), "'TV' is no device"),
    "persona is a list": (flag({"if": [{"in": [{"var": "persona"}, [["X"]]]}, "v1", "v2"]}), "is no persona"),
    "no version": (flag({"if": [{"sem_ver": [{"var": "appVersion"}, ">", "two"]}, "v1", "v2"]}), "no semantic version"),
    "no comparison": (flag({"if": [{"sem_ver": [{"var": "appVersion"}, "=>", "2.0.0"]}, "v1", "v2"]}), "sem_ver/1"),
    "split without hash version": (_split(["v1", 1], hashVersion=1), "hashVersion 2"),
    "split without seed": (_split(["v1", 1], seed=""), "and a seed"),
    "split with another seed": (_split(["v1", 1], seed="seed-2"), "'seed-2' as a literal"),
    "split by flag key": (flag({"fractional": [["v1", 1], ["v2", 1]]}, metadata=PINNED), "must contain its seed"),
    "one bucket for all without key": (
        _split(["v1", 1], bucketing={"cat": [PINNED["seed"], {"var": "targetingKey"}]}),
        "null without a targeting key",
    ),
    "bucketing cannot be computed": (
        _split(["v1", 1], bucketing={"cat": [PINNED["seed"], {"/": [1, 0]}]}),
        "cannot be computed",
    ),
    "weights of nothing": (_split(["v1", 0], ["v2", 0]), "the weights [0, 0]"),
    "negative weight": (_split(["v1", -1], ["v2", 2]), "the weights [-1, 2]"),
    "broken weight": (_split(["v1", 0.5], ["v2", 2]), "the weights [0.5, 2]"),
    "weights beyond 31 bits": (_split(["v1", 2**31]), "the weights"),
    "split over a list": (flag({"if": [{"some": [["a"], {"fractional": [["v1", 1]]}]}, "v1", "v2"]}), "fractional"),
    "too deep": (flag(_deep(MAX_DEPTH)), "nested over"),
    "too many parts": (flag({"in": [{"var": "persona"}, ["VISITOR"] * 6000]}), "parts"),
    "unknown reference": (flag({"$ref": "nobody"}), "$ref 'nobody'"),
    "component with a number": (component("hero", variants={"v1": 1}), "received 1"),
    "component with another version": (component("hero", variants={"v1": "beta"}, defaultVariant="v1"), "'beta'"),
    "component with a bad name": (component("Hero!"), "'Hero!' names no component"),
    "component on a bad page": (component("hero", page="home,../x"), "'../x' names no component or page"),
}


@pytest.mark.parametrize(("bad", "reason"), BAD.values(), ids=BAD.keys())
def test_a_bad_flag_is_refused_and_the_rest_served(tmp_path: Path, bad: Any, reason: str) -> None:
    write(tmp_path, {"before": flag(), "bad": bad, "after": flag()})
    found = read(tmp_path)
    assert [served.key for served in found.flags] == ["before", "after"]
    (refusal,) = found.refused
    assert (refusal.file, refusal.flag) == ("team.json", "bad")
    assert reason in refusal.reason


@pytest.mark.parametrize("key", ["", "Hero", "a b", ".a", "a.", "a" * 101, "é", "a\n"])
def test_keys_keep_to_their_alphabet(tmp_path: Path, key: str) -> None:
    write(tmp_path, {key: flag()})
    (refusal,) = read(tmp_path).refused
    assert "the key" in refusal.reason


GOOD: dict[str, Any] = {
    "empty targeting": flag({}),
    "no default": flag(defaultVariant=None),
    "deep": flag(_deep(12)),
    "segment that nobody listed": flag({"if": [{"==": [{"var": "segment"}, "gold"]}, "v1", "v2"]}),
    "item of a list": flag({"if": [{"some": [["a"], {"==": [{"var": ""}, "a"]}]}, "v1", "v2"]}),
    "text in text": flag({"if": [{"in": ["SHOP", {"var": "persona"}]}, "v1", "v2"]}),
    "moving weights": _split(["v1", {"-": [{"var": "$flagd.timestamp"}, 1_700_000_000]}], ["v2", 10]),
    "one share": _split(["v1"]),
    "numbers": flag(variants={"low": 1, "high": 2.5}, defaultVariant="low"),
    "objects": flag(variants={"a": {"rows": 2}}, defaultVariant="a"),
}


@pytest.mark.parametrize("good", GOOD.values(), ids=GOOD.keys())
def test_a_good_flag_is_served(tmp_path: Path, good: Any) -> None:
    write(tmp_path, {"good": good})
    found = read(tmp_path)
    assert found.refused == ()
    assert FlagSet(found).evaluate("good", Subject("customer:1", {"persona": "VISITOR"})).error_code is None


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"", "not JSON"),
        (b'{"flags": {', "not JSON"),
        (b"\xff\xfe", "not JSON"),
        (b"[]", "does not hold a JSON object"),
        (b"{}", "'flags' is a required property"),
        (b'{"flags": []}', "at flags"),
        (b'{"flags": {}, "metadata": {"version": 1}}', "at metadata/version"),
        (b'{"flags": {}, "flagz": {}}', "'flagz' was unexpected"),
        (b'{"flags": {}, "flags": {}}', "stands twice"),
        (b'{"flags": {"a": {"state": "ENABLED", "variants": {"v1": NaN}}}}', "NaN is no JSON number"),
        (b'{"flags": {"a": ' + b"1" * 5000 + b"}}", "a number is out of range"),
        (b"[" * 200_000, "nested too deep"),
        (b'{"a":' * 200_000, "nested too deep"),
        (b'{"flags": {}}' + b" " * MAX_FILE_BYTES, "bytes long"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_bad_file_is_refused_and_the_others_served(tmp_path: Path, raw: bytes, reason: str) -> None:
    (tmp_path / "bad.json").write_bytes(raw)
    write(tmp_path, {"good": flag()})
    found = read(tmp_path)
    assert [served.key for served in found.flags] == ["good"]
    (refusal,) = found.refused
    assert (refusal.file, refusal.flag) == ("bad.json", None)
    assert reason in refusal.reason


def test_a_key_twice_in_one_file_is_refused(tmp_path: Path) -> None:
    text = json.dumps(flag())
    (tmp_path / "team.json").write_text(f'{{"flags": {{"a": {text}, "b": {text}, "a": {text}}}}}')
    found = read(tmp_path)
    assert [served.key for served in found.flags] == ["b"]
    assert [str(refusal) for refusal in found.refused] == ["team.json: a: the key stands twice in the file"]


def test_a_key_twice_inside_a_flag_is_refused(tmp_path: Path) -> None:
    (tmp_path / "team.json").write_text('{"flags": {"a": {"state": "DISABLED", "state": "ENABLED", "variants": {}}}}')
    (refusal,) = read(tmp_path).refused
    assert refusal.reason == "a key stands twice: ['state']"


def test_of_a_key_or_component_in_two_files_the_first_is_served(tmp_path: Path) -> None:
    write(tmp_path, {"shared": flag(), "hero": component("hero")}, "a.json")
    write(tmp_path, {"shared": flag(defaultVariant="v2"), "hero-too": component("hero")}, "b.json")
    found = read(tmp_path)
    assert [(served.key, served.file) for served in found.flags] == [("shared", "a.json"), ("hero", "a.json")]
    assert [refusal.reason for refusal in found.refused] == [
        "the key is taken by a.json",
        "the component hero has the flag hero",
    ]


def test_links_are_followed_within_the_folder_only(tmp_path: Path) -> None:
    folder = tmp_path / "flags"
    mounted = folder / "..2026"
    mounted.mkdir(parents=True)
    write(mounted, {"mounted": flag()})
    (folder / "..data").symlink_to("..2026")
    (folder / "team.json").symlink_to("..data/team.json")
    write(tmp_path, {"outside": flag()}, "outside.json")
    (folder / "out.json").symlink_to(tmp_path / "outside.json")
    (folder / "loop.json").symlink_to("loop.json")
    (folder / "gone.json").symlink_to("nowhere.json")
    (folder / "folder.json").mkdir()
    os.mkfifo(folder / "pipe.json")
    found = read(folder)
    assert [served.key for served in found.flags] == ["mounted"]
    assert [refusal.file for refusal in found.refused] == [
        "folder.json",
        "gone.json",
        "loop.json",
        "out.json",
        "pipe.json",
    ]


def test_a_folder_that_is_not_there_is_unreadable(tmp_path: Path) -> None:
    with pytest.raises(DefinitionsUnreadable, match="cannot be read"):
        read(tmp_path / "nowhere")


def test_references_are_resolved_and_cannot_turn_in_circles(tmp_path: Path) -> None:
    seller = {"in": [{"var": "persona"}, ["CONSULTANT", "SHOP_OWNER"]]}
    evaluators = {
        "sells": {"and": [{"$ref": "seller"}, True]},
        "seller": seller,
        "a": {"$ref": "b"},
        "b": {"$ref": "a"},
    }
    flags = {"good": flag({"if": [{"$ref": "sells"}, "v2", "v1"]}), "round": flag({"$ref": "a"})}
    write(tmp_path, flags, rest={"$evaluators": evaluators})
    found = read(tmp_path)
    assert FlagSet(found).evaluate("good", Subject(None, {"persona": "SHOP_OWNER"})).variant == "v2"
    assert [refusal.reason for refusal in found.refused] == ["$ref 'a' refers to itself"]


def test_references_cannot_multiply_without_bound(tmp_path: Path) -> None:
    evaluators = {f"r{level}": {"and": [{"$ref": f"r{level + 1}"}] * 10} for level in range(25)}
    write(tmp_path, {"bomb": flag({"$ref": "r0"})}, rest={"$evaluators": {**evaluators, "r25": {"var": "persona"}}})
    (refusal,) = read(tmp_path).refused
    assert "nested over" in refusal.reason


@pytest.mark.parametrize(
    "condition",
    [
        {"==": [{"var": "segment"}, "gold"]},
        {"!==": ["gold", {"var": ["segment"]}]},
        {"in": [{"var": "segment"}, ["silver", "gold"]]},
        {"and": [{"var": "persona"}, {"!": [{"==": [{"var": ["segment", "silver"]}, "gold"]}]}]},
    ],
)
def test_known_segments_refuse_the_others(tmp_path: Path, condition: Any) -> None:
    write(tmp_path, {"named": flag({"if": [condition, "v1", "v2"]}), "other": flag()})
    for known, refused in (((), []), (("silver", "gold"), []), (("silver",), ["named"])):
        vocabulary = Vocabulary().with_segments(known)
        assert [refusal.flag for refusal in read_definitions(tmp_path, vocabulary).refused] == refused


def test_what_was_good_is_kept_where_it_stood(tmp_path: Path) -> None:
    write(tmp_path, {"a": flag(), "b": flag(), "c": flag()}, "1.json")
    write(tmp_path, {"d": flag(), "e": flag()}, "2.json")
    good = read(tmp_path)
    write(tmp_path, {"a": flag(), "b": flag(state="?"), "c": flag(defaultVariant="v2")}, "1.json")
    (tmp_path / "2.json").write_text("{")
    found = read(tmp_path, good)
    assert [(served.key, served.default_variant) for served in found.flags] == [
        ("a", "v1"),
        ("b", "v1"),
        ("c", "v2"),
        ("d", "v1"),
        ("e", "v1"),
    ]
    assert found.kept == {"b", "d", "e"}
    assert [(refusal.file, refusal.flag) for refusal in found.refused] == [("1.json", "b"), ("2.json", None)]


def test_a_flag_that_is_refused_where_it_was_moved_to_is_kept(tmp_path: Path) -> None:
    write(tmp_path, {"a": flag()}, "1.json")
    good = read(tmp_path)
    write(tmp_path, {}, "1.json")
    write(tmp_path, {"a": flag(state="?")}, "2.json")
    assert [served.key for served in read(tmp_path, good).flags] == ["a"]


def test_a_flag_that_is_deleted_is_gone(tmp_path: Path) -> None:
    write(tmp_path, {"a": flag(), "b": flag()})
    good = read(tmp_path)
    write(tmp_path, {"a": flag()})
    assert [served.key for served in read(tmp_path, good).flags] == ["a"]


def test_the_version_covers_everything_and_the_order(tmp_path: Path) -> None:
    versions = []
    for flags, rest in (
        ({"a": flag(), "b": flag()}, {}),
        ({"b": flag(), "a": flag()}, {}),
        ({"a": flag(), "b": flag(defaultVariant="v2")}, {}),
        ({"a": flag(), "b": flag()}, {"metadata": {"owner": "us"}}),
        ({"a": flag(), "b": flag()}, {}),
    ):
        write(tmp_path, flags, rest=rest)
        versions.append(read(tmp_path).version)
    assert len(set(versions)) == 4
    assert versions[0] == versions[4]


def test_unchanged_flags_are_not_read_anew(tmp_path: Path) -> None:
    write(tmp_path, {"a": flag(), "b": flag()})
    first = read(tmp_path)
    write(tmp_path, {"a": flag(), "b": flag(defaultVariant="v2")})
    second = read(tmp_path, first)
    assert second.flags[0] is first.flags[0]
    assert second.flags[1] is not first.flags[1]


def test_metadata_of_the_file_stands_behind_the_flags_own(tmp_path: Path) -> None:
    write(
        tmp_path, {"a": flag(metadata={"owner": "me"}), "b": flag()}, rest={"metadata": {"owner": "us", "version": "7"}}
    )
    assert [(served.owner, served.metadata["version"]) for served in read(tmp_path).flags] == [("me", "7"), ("us", "7")]


def test_types_follow_the_variants(tmp_path: Path) -> None:
    values = {"a": True, "b": "x", "c": 1.5, "d": {}}
    write(tmp_path, {key: flag(variants={"v1": value}) for key, value in values.items()})
    assert [served.type for served in read(tmp_path).flags] == list(FlagType)


OPERATORS = ("if", "and", "var", "fractional", "sem_ver", "in", "==", "missing", "some", "$ref")
json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda children: (
        st.lists(children, max_size=4)
        | st.dictionaries(st.sampled_from(OPERATORS) | st.text(max_size=5), children, max_size=2)
    ),
    max_leaves=25,
)


@settings(max_examples=300, deadline=None)
@given(
    content=st.fixed_dictionaries(
        {"state": st.just("ENABLED"), "variants": st.just({"v1": "a", "v2": "b"})},
        optional={"targeting": json_values, "defaultVariant": json_values, "metadata": json_values},
    )
)
def test_a_check_refuses_or_what_it_lets_through_can_be_compiled(content: dict[str, Any]) -> None:
    try:
        check_flag("key", content, Vocabulary())
    except InvalidDefinition:
        return
    assert callable(compile_targeting("key", content.get("targeting")))


@settings(max_examples=400, deadline=None)
@given(
    content=st.dictionaries(st.sampled_from(["state", "variants", "targeting", "metadata"]), json_values, max_size=4)
    | st.fixed_dictionaries(
        {"state": st.just("ENABLED"), "variants": st.dictionaries(st.text(max_size=3), json_values, max_size=3)},
        optional={"targeting": json_values, "defaultVariant": json_values, "metadata": json_values},
    )
)
def test_what_the_fast_validator_lets_through_the_other_does_too(content: dict[str, Any]) -> None:
    try:
        check_shape(content)
    except InvalidDefinition:
        return
    if is_surely_valid("flag", content):
        check_schema("flag", content)


def test_good_flags_take_the_fast_way() -> None:
    assert [name for name, good in GOOD.items() if not is_surely_valid("flag", good)] == []
