"""What tags send is read as they mean it, whatever else is in it."""

from contextlib import suppress
from datetime import UTC, datetime
from urllib.parse import quote, urlencode

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.collector import reports_of
from gateway.errors import BadRequest
from gateway.ga4 import TagEvent, TagItem, read_hits, read_measurements
from personalization.events import ExposureEventKind, OutcomeKind
from personalization.outcomes import ExposureReport, OutcomeReport
from tests.events.parts import DECISION, EXPOSURE

OTHER = DECISION[:-1] + "2"
# What gtag.js puts before the event, whatever it is.
PAGE = (
    "v=2&tid=G-PERSONA001&gtm=45je4bk0v9101234567za200&_p=1732451234567&gcd=13l3l3l3l1l1&npa=0&dma=0"
    "&cid=1415183184.1638542841&ul=en-us&sr=1920x1080&uaa=x86&uab=64&uafvl=Chromium%3B131.0.6778.86&uamb=0&uam="
    "&uap=Linux&uapv=6.8.0&uaw=0&are=1&frm=0&pscdl=noapi&_eu=AEA&_s=3&sid=1732451200&sct=4&seg=1"
    "&dl=https%3A%2F%2Fshop.example%2Fp%2F4711&dr=https%3A%2F%2Fshop.example%2F&dt=Toothpaste%20%C2%B7%20Shop&cu=USD"
)


def one(query: str, body: str = "") -> TagEvent:
    (event,) = read_hits(query, body)
    return event


def test_one_event_in_the_query() -> None:
    event = one(
        f"{PAGE}&en=add_to_cart&_c=1&pr1=id4711~nmTooth%20paste~brMaker%20764~pr2.79~qt2~k0decision_id~v0{OTHER}"
        f"~k1colour~v1red&pr2=nmNo%20id&ep.decision_id={DECISION}&epn.value=5.58&_et=1432&tfd=2300"
    )
    assert event.name == "add_to_cart"
    assert event.params == {"decision_id": DECISION, "value": "5.58"}
    assert event.items == [TagItem("4711", 2, OTHER), TagItem()]
    assert event.occurred_at is None


@pytest.mark.parametrize(
    ("fields", "seconds"),
    [
        ("_et=1432", 1.432),
        ("epn.engagement_time_msec=9000", 9.0),
        ("epn.engagement_time_msec=9000&_et=1", 9.0),
        ("_et=0", 0.0),
        ("_et=86400001", None),
        ("_et=-1", None),
        ("_et=nan", None),
        ("_et=1e400", None),
        ("_et=long", None),
        ("_et=", None),
        ("", None),
    ],
)
def test_engagement_is_a_display_time(fields: str, seconds: float | None) -> None:
    event = one(f"{PAGE}&en=user_engagement&ep.decision_id={DECISION}&{fields}")
    assert event.engaged_s == seconds
    (report,) = reports_of(event)
    assert report == OutcomeReport(DECISION, OutcomeKind.DISPLAYED, report.id, duration_s=seconds)


def test_engagement_by_the_measurement_protocol() -> None:
    params = {"decision_id": DECISION, "engagement_time_msec": 12_500, "items": [{"item_id": "1"}]}
    names = ("user_engagement", "view_item")
    events = read_measurements(orjson.dumps({"events": [{"name": name, "params": params} for name in names]}))
    assert [report for event in events for report in reports_of(event)] == [
        OutcomeReport(DECISION, OutcomeKind.DISPLAYED, duration_s=12.5),
        OutcomeReport(DECISION, OutcomeKind.DETAIL_DISPLAYED, product_id="1", duration_s=12.5),
    ]


def test_several_events_in_the_body_share_the_query() -> None:
    body = (
        f"en=view_item&_ee=1&pr1=id1~qt1&ep.decision_id={DECISION}&_et=5\r\n"
        "en=scroll&epn.percent_scrolled=90&_et=12\r\n"
        "\r\n"
        f"en=add_to_cart&pr1=id1~qt2&ep.decision_id={OTHER}"
    )
    events = read_hits(PAGE, body)
    assert [each.name for each in events] == ["view_item", "scroll", "add_to_cart"]
    assert [each.params.get("decision_id") for each in events] == [DECISION, None, OTHER]
    assert [each.items for each in events] == [[TagItem("1", 1)], [], [TagItem("1", 2)]]
    assert len({each.hit for each in events}) == 3


def test_an_event_in_the_query_keeps_what_is_its_own() -> None:
    first, second = read_hits(f"{PAGE}&en=view_item&pr1=id1&ep.decision_id={DECISION}&_et=500", "en=scroll")
    assert (first.name, second.name) == ("view_item", "scroll")
    assert (first.engaged_s, second.engaged_s) == (0.5, None)
    assert (second.params, second.items) == ({}, [])


def test_parameters_without_an_event_are_those_of_every_line() -> None:
    events = read_hits(f"{PAGE}&ep.decision_id={DECISION}", f"en=view_item\nen=add_to_cart&ep.decision_id={OTHER}")
    assert [each.params["decision_id"] for each in events] == [DECISION, OTHER]


def test_everything_may_be_in_the_body() -> None:
    event = one("", f"{PAGE}&en=view_item&ep.decision_id={DECISION}")
    assert (event.name, event.params) == ("view_item", {"decision_id": DECISION})
    assert event.hit == one(f"{PAGE}&en=view_item").hit


@pytest.mark.parametrize("without", ["tid=G-PERSONA001&", "_p=1732451234567&", "&_s=3", "cid=1415183184.1638542841&"])
def test_a_hit_that_does_not_say_which_it_is_has_no_name(without: str) -> None:
    assert one(PAGE.replace(without, "") + "&en=view_item").hit is None


def test_a_measurement() -> None:
    body = {
        "client_id": "1415183184.1638542841",
        "user_id": "somebody",
        "timestamp_micros": "1767225600000000",
        "non_personalized_ads": False,
        "events": [
            {
                "name": "purchase",
                "params": {
                    "session_id": "1732451200",
                    "engagement_time_msec": 100,
                    "transaction_id": "T-12345",
                    "decision_id": DECISION,
                    "value": 5.58,
                    "currency": "USD",
                    "items": [
                        {"item_id": "4711", "quantity": 2, "price": 2.79},
                        {"item_id": 4712, "quantity": "3", "decision_id": OTHER},
                    ],
                },
            },
            {"name": "view_item", "timestamp_micros": 1767225601500000},
        ],
    }
    purchase, view = read_measurements(orjson.dumps(body))
    assert purchase.items == [TagItem("4711", 2), TagItem("4712", 3, OTHER)]
    assert purchase.params["transaction_id"] == "T-12345"
    assert purchase.occurred_at == datetime(2026, 1, 1, tzinfo=UTC)
    assert view.occurred_at == datetime(2026, 1, 1, 0, 0, 1, 500_000, tzinfo=UTC)
    assert (purchase.hit, view.params, view.items) == (None, {}, ())


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"[]", b"{}", b'{"events": {}}', b'{"events": []}', b"[" * 5000])
def test_what_is_no_measurement_is_a_bad_request(body: bytes) -> None:
    with pytest.raises(BadRequest):
        read_measurements(body)


@pytest.mark.parametrize(("query", "body"), [("", ""), (PAGE, ""), (PAGE, "ep.decision_id=1\r\n"), ("", "\x00\xff~")])
def test_a_request_without_an_event_is_a_bad_request(query: str, body: str) -> None:
    with pytest.raises(BadRequest, match="no event"):
        read_hits(query, body)


def test_requests_and_events_are_bounded() -> None:
    with pytest.raises(BadRequest, match="at most 100 events may come at once, got 101"):
        read_hits(PAGE, "\n".join(["en=scroll"] * 101))
    with pytest.raises(BadRequest, match="at most 100 events may come at once, got 101"):
        read_measurements(orjson.dumps({"events": [{"name": "scroll"}] * 101}))
    with pytest.raises(BadRequest, match="more than 400"):
        read_hits("&".join(f"ep.a{each}=1" for each in range(401)), "")


@pytest.mark.parametrize("quantity", ["", "none", "0", "-1", "1.5", "1000", "nan", "inf", "1e400"])
def test_a_quantity_that_is_none_is_left_out(quantity: str) -> None:
    assert one(f"{PAGE}&en=add_to_cart&pr1=id1~qt{quantity}").items == [TagItem("1")]
    (event,) = read_measurements(
        orjson.dumps(
            {"events": [{"name": "add_to_cart", "params": {"items": [{"item_id": "1", "quantity": quantity}]}}]}
        )
    )
    assert event.items == [TagItem("1")]


@pytest.mark.parametrize("micros", [None, "noon", True, 1.5, [], "9" * 30, "9" * 5000, 10**19])
def test_a_time_that_is_none_is_left_out(micros: object) -> None:
    (event,) = read_measurements(orjson.dumps({"events": [{"name": "view_item", "timestamp_micros": micros}]}))
    assert event.occurred_at is None


def event(name: str, *items: TagItem, **params: str) -> TagEvent:
    return TagEvent(name, params, items)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("view_item", OutcomeKind.DETAIL_DISPLAYED),
        ("add_to_cart", OutcomeKind.ADDED_TO_BASKET),
        ("purchase", OutcomeKind.PURCHASED),
    ],
)
def test_each_product_is_an_outcome_of_its_own_decision(name: str, kind: OutcomeKind) -> None:
    items = [TagItem("1", 2), TagItem("2", None, OTHER), TagItem()]
    assert list(reports_of(event(name, *items, decision_id=DECISION))) == [
        OutcomeReport(DECISION, kind, None, None, "1", 2),
        OutcomeReport(OTHER, kind, None, None, "2", None),
        OutcomeReport(DECISION, kind),
    ]
    assert list(reports_of(event(name, *items))) == [OutcomeReport(OTHER, kind, None, None, "2", None)]
    assert list(reports_of(event(name, decision_id=DECISION))) == [OutcomeReport(DECISION, kind)]


def test_a_shelf_is_displayed_once() -> None:
    items = [TagItem("1"), TagItem("2"), TagItem("3", 1, OTHER)]
    assert list(reports_of(event("view_item_list", *items, decision_id=DECISION))) == [
        OutcomeReport(DECISION, OutcomeKind.DISPLAYED),
        OutcomeReport(OTHER, OutcomeKind.DISPLAYED),
    ]


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("rendered", ExposureEventKind.RENDERED),
        ("seen", ExposureEventKind.SEEN),
        ("view_promotion", ExposureEventKind.SEEN),
        ("view_item_list", ExposureEventKind.SEEN),
    ],
)
def test_exposures_are_told_of(name: str, kind: ExposureEventKind) -> None:
    assert list(reports_of(event(name, exposure_id=EXPOSURE))) == [ExposureReport(EXPOSURE, kind)]


@pytest.mark.parametrize("name", ["view_item", "add_to_cart", "page_view", "refund", "", "VIEW_ITEM"])
def test_events_that_say_nothing_of_a_decision_are_nothing(name: str) -> None:
    assert list(reports_of(event(name, TagItem("1"), exposure_id=EXPOSURE))) == []
    assert list(reports_of(event(name, TagItem("1"), decision_id=""))) == []


def ids(event: TagEvent) -> list[str | None]:
    return [each.id for each in reports_of(event)]


def test_an_event_is_named_by_its_own_id_a_transaction_or_its_hit() -> None:
    def purchase(**params: str) -> TagEvent:
        return event("purchase", TagItem("1"), TagItem("2"), decision_id=DECISION, **params)

    assert ids(purchase()) == [None, None]
    first = ids(purchase(transaction_id="T-1"))
    assert len(set(first)) == 2
    assert None not in first
    assert first == ids(purchase(transaction_id="T-1"))
    assert first != ids(purchase(transaction_id="T-2"))
    assert ids(purchase(transaction_id="T-1", event_id="e")) == ids(purchase(transaction_id="T-2", event_id="e"))
    assert ids(event("view_item", decision_id=DECISION, transaction_id="T-1")) == [None]
    query = f"{PAGE}&en=view_item&ep.decision_id={DECISION}"
    assert ids(one(query)) == ids(one(query)) != ids(one(query.replace("_s=3", "_s=4")))


def test_a_single_outcome_may_be_told_by_a_beacon_too() -> None:
    own = "0b1f6c0e-8a55-4d8e-9a53-6f1d0f2f4c11"
    assert ids(event("view_item", TagItem("1"), decision_id=DECISION, event_id=own)) == [own]
    assert own not in ids(event("purchase", TagItem("1"), TagItem("2"), decision_id=DECISION, event_id=own))
    assert ids(event("view_item", TagItem("1"), decision_id=DECISION, event_id=f"{own}x")) != [f"{own}x"]


NAMES = st.sampled_from(["en", "ep.decision_id", "ep.exposure_id", "epn.value", "pr1", "pr77", "cid", "_s", "x"])
VALUES = st.sampled_from(["view_item", "purchase", "seen", DECISION, "id1~qt2", "~~", "k0decision_id~v0x"]) | st.text(
    max_size=12
)


@given(st.lists(st.dictionaries(NAMES, VALUES, max_size=6), min_size=1, max_size=6))
@settings(deadline=None)
def test_every_event_of_a_hit_is_read(lines: list[dict[str, str]]) -> None:
    query, *body = [urlencode(line, quote_via=quote) for line in lines]
    names = [line["en"] for line in lines if "en" in line]
    if not names:
        with pytest.raises(BadRequest):
            read_hits(query, "\r\n".join(body))
        return
    events = read_hits(query, "\r\n".join(body))
    assert [each.name for each in events] == names
    for found in events:
        assert all(isinstance(each, OutcomeReport | ExposureReport) for each in reports_of(found))


@given(st.text(), st.text())
@settings(deadline=None)
def test_text_that_is_no_hit_is_refused_or_read(query: str, body: str) -> None:
    assert read_hits(f"{query}&en=view_item", body)[0].name == "view_item"
    with suppress(BadRequest):
        read_hits(query, body)
