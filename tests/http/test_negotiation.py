"""What an `Accept` header takes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.negotiation import Accepted, Media, accepted, media_type


@pytest.mark.parametrize(
    ("header", "whole", "parts"),
    [
        (None, Media.JSON, None),
        ("", Media.JSON, None),
        ("*/*", Media.JSON, None),
        ("application/*", Media.JSON, None),
        ("application/json", Media.JSON, None),
        ("Application/JSON; charset=UTF-8", Media.JSON, None),
        ("application/graphql-response+json", Media.GRAPHQL, None),
        ("application/graphql-response+json, application/json;q=0.9", Media.GRAPHQL, None),
        ("application/json;q=0.9, application/graphql-response+json", Media.GRAPHQL, None),
        ("application/json, application/graphql-response+json", Media.JSON, None),
        ("application/graphql-response+json, application/json", Media.GRAPHQL, None),
        ("application/graphql-response+json, */*", Media.GRAPHQL, None),
        ("*/*, application/graphql-response+json", Media.GRAPHQL, None),
        ("application/json;q=0, */*", Media.GRAPHQL, None),
        ("text/html, application/xhtml+xml, */*;q=0.8", Media.JSON, None),
        ("application/graphql-response+json; charset=utf-8, application/json; charset=utf-8", Media.GRAPHQL, None),
        ('application/json; charset="utf-8"', Media.JSON, None),
        # clients as they are
        (
            "multipart/mixed;incrementalSpec=v0.2,application/graphql-response+json,application/json;q=0.9",
            Media.GRAPHQL,
            Media.MULTIPART,
        ),
        (
            "multipart/mixed;deferSpec=20220824,application/graphql-response+json,application/json;q=0.9",
            Media.GRAPHQL,
            None,
        ),
        ("multipart/mixed;boundary=graphql;subscriptionSpec=1.0,application/json", Media.JSON, None),
        ("application/json, multipart/mixed", Media.JSON, Media.MULTIPART),
        (
            "application/graphql-response+json, application/json, text/event-stream, multipart/mixed",
            Media.GRAPHQL,
            Media.EVENTS,
        ),
        ("text/event-stream", None, Media.EVENTS),
        ("multipart/mixed", None, Media.MULTIPART),
        ("multipart/mixed;incrementalSpec=v0.1", None, None),
        # parts are only for those who like them as well
        ("application/json, multipart/mixed;q=0.5", Media.JSON, None),
        ("application/json;q=0.5, multipart/mixed;q=0.5", Media.JSON, Media.MULTIPART),
        ("text/event-stream;q=0.5, multipart/mixed;q=0.6", None, Media.MULTIPART),
        # nothing that can be answered with
        ("text/html", None, None),
        ("application/xml, text/*", None, None),
        ("application/json;q=0", None, None),
        ("application/json; charset=latin-1", None, None),
        ("nonsense", None, None),
        ("application/json;q=many", None, None),
        ("application/json;q=2", None, None),
    ],
)
def test_the_best_of_what_is_accepted(header: str | None, whole: Media | None, parts: Media | None) -> None:
    assert accepted(header) == Accepted(whole, parts)


@given(st.text(max_size=200))
def test_any_header_has_an_answer(header: str) -> None:
    found = accepted(header)
    assert found.whole in (None, Media.JSON, Media.GRAPHQL)
    assert found.parts in (None, Media.MULTIPART, Media.EVENTS)


@given(st.lists(st.sampled_from(["*/*", "application/*", "application/json", "text/*"]), min_size=1))
def test_parts_are_never_sent_to_those_who_did_not_name_them(ranges: list[str]) -> None:
    assert accepted(",".join(ranges)).parts is None


@given(
    st.permutations(["application/graphql-response+json;q=0.9", "application/json;q=0.5", "text/html", "image/*;q=0.1"])
)
def test_the_order_does_not_matter_where_qualities_differ(ranges: list[str]) -> None:
    assert accepted(",".join(ranges)).whole is Media.GRAPHQL


def test_a_media_type_is_read_without_quotes_and_case() -> None:
    assert media_type(' Application/JSON ;Charset="UTF-8"; v=1') == ("application/json", {"charset": "UTF-8", "v": "1"})
