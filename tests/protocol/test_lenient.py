"""What clients written by others send, one leniency to a test (docs/protocol.md, section 9)."""

from __future__ import annotations

import json
from typing import Any

from msgspec import UNSET
from twisted.trial.unittest import SynchronousTestCase

from p2pchat.protocol.codec import decode
from p2pchat.protocol.errors import UnknownType
from p2pchat.protocol.messages import (
    Ack,
    Bye,
    ByeOk,
    Error,
    Hello,
    HelloOk,
    HelloReject,
    Message,
    Metrics,
    MetricsReq,
    Ping,
    Pong,
    Pub,
    Send,
    TtlExpired,
    WhoHas,
)


def read(kind: str | None, **fields: Any) -> Message:
    """Decode a line of type *kind* with these fields; no type where it is None."""
    typed = fields if kind is None else {"type": kind, **fields}
    return decode(json.dumps(typed).encode())


def read_send(**fields: Any) -> Message:
    """Decode a SEND with these fields changed."""
    return read("SEND", **{"msg_id": "m", "src": "a@n", "dst": "b@n", "payload": "hi", **fields})


def read_pub(**fields: Any) -> Message:
    """Decode a PUB, without a dst, with these fields changed."""
    return read("PUB", **{"msg_id": "m", "src": "a@n", "payload": "hi", **fields})


SENT = Send("m", "a@n", "b@n", "hi")


class TtlTests(SynchronousTestCase):
    """The ttl of others."""

    def test_missing(self) -> None:
        """9.10: a ttl that is missing counts as 1."""
        self.assertEqual(read_send(), SENT)

    def test_null(self) -> None:
        """9.10: a ttl of null is missing."""
        self.assertEqual(read_send(ttl=None), SENT)

    def test_whole_float(self) -> None:
        """9.10: a ttl written as 3.0 is 3; some languages have one kind of number."""
        self.assertEqual(read_send(ttl=3.0), Send("m", "a@n", "b@n", "hi", ttl=3))
        self.assertEqual(read_send(ttl=3.0, require_ack=None), Send("m", "a@n", "b@n", "hi", ttl=3))

    def test_any_number(self) -> None:
        """Section 5: a ttl of 0, below it, or far above 8 is read; what it means is for routing."""
        for ttl in (0, -1, 9, 2**70):
            self.assertEqual(read_send(ttl=ttl), Send("m", "a@n", "b@n", "hi", ttl=ttl))


class HelloTests(SynchronousTestCase):
    """HELLO, HELLO_OK and HELLO_REJECT of others."""

    def test_version_a_number(self) -> None:
        """9.10: a version may be a number."""
        self.assertEqual(read("HELLO", peer_id="a@n", version=1), Hello("a@n", "1"))
        self.assertEqual(read("HELLO", peer_id="a@n", version=1.0), Hello("a@n", "1.0"))
        self.assertEqual(read("HELLO_OK", peer_id="a@n", version=1.5), HelloOk("a@n", "1.5"))

    def test_version_missing(self) -> None:
        """9.10: a version that is missing or null counts as ours."""
        self.assertEqual(read("HELLO", peer_id="a@n"), Hello("a@n", "1.0"))
        self.assertEqual(read("HELLO", peer_id="a@n", version=None), Hello("a@n", "1.0"))

    def test_no_features(self) -> None:
        """Section 3: features that are missing, null or empty mean only the basics."""
        nothing: tuple[dict[str, Any], ...] = ({}, {"features": None}, {"features": []})
        for features in nothing:
            self.assertEqual(read("HELLO", peer_id="a@n", **features), Hello("a@n", features=()))

    def test_strange_features(self) -> None:
        """Section 3: features that are no strings are none that we know."""
        hello = read("HELLO", peer_id="a@n", features=["ack", 1, None, ["relay"], "x"])
        self.assertEqual(hello, Hello("a@n", features=("ack", "x")))

    def test_hello_reject(self) -> None:
        """9.15: some refuse with a HELLO_REJECT, with a reason or without."""
        self.assertEqual(read("HELLO_REJECT", reason="full"), HelloReject("full"))
        self.assertEqual(read("HELLO_REJECT"), HelloReject(""))
        self.assertEqual(read("HELLO_REJECT", reason={"code": 1}), HelloReject(""))


class TimestampTests(SynchronousTestCase):
    """Timestamps of others, which nothing depends on."""

    def test_float(self) -> None:
        """9.10: a timestamp may be a number; it is not used and not kept."""
        self.assertEqual(read("PING", msg_id="m", timestamp=1730000000.25), Ping("m"))
        self.assertEqual(read("PONG", msg_id="m", timestamp=1730000000), Pong("m"))

    def test_no_zone(self) -> None:
        """9.10: a timestamp may have no zone; it is kept as it is."""
        text = "2025-01-01T00:00:00.123"
        self.assertEqual(read("PING", msg_id="m", timestamp=text), Ping("m", text))

    def test_null(self) -> None:
        """9.10: a timestamp may be null or missing."""
        self.assertEqual(read("PING", msg_id="m", timestamp=None), Ping("m"))
        self.assertEqual(read("PONG", msg_id="m"), Pong("m"))

    def test_on_other_messages(self) -> None:
        """9.10: a timestamp on a message that has none is an extra field."""
        self.assertEqual(read_send(timestamp=1730000000.25), SENT)

    def test_last_seen(self) -> None:
        """9.10: the last_seen of METRICS is a timestamp too, and may be a float or null."""
        self.assertEqual(read("METRICS", msg_id="m", last_seen=1730000000.25), Metrics("m"))
        self.assertEqual(read("METRICS", msg_id="m", last_seen=None), Metrics("m"))


class SendTests(SynchronousTestCase):
    """SEND, ACK and PUB of others."""

    def test_require_ack_null(self) -> None:
        """9.10: a require_ack of null counts as true."""
        self.assertEqual(read_send(require_ack=None), SENT)

    def test_require_ack_missing(self) -> None:
        """9.10: a require_ack that is missing counts as true."""
        self.assertEqual(read_send(), Send("m", "a@n", "b@n", "hi", require_ack=True))

    def test_require_ack_false(self) -> None:
        """Section 4: a require_ack of false asks for nothing."""
        self.assertEqual(read_send(require_ack=False), Send("m", "a@n", "b@n", "hi", require_ack=False))

    def test_dest_of_send(self) -> None:
        """9.10: a SEND may say dest for dst."""
        self.assertEqual(
            read("SEND", msg_id="m", src="a@n", dest="b@n", payload="hi"), Send("m", "a@n", "b@n", "hi")
        )

    def test_dest_of_null_dst(self) -> None:
        """9.10: dest counts beside a dst of null, and not beside a real one."""
        self.assertEqual(read_send(dst=None, dest="b@n"), SENT)
        self.assertEqual(read_send(dest="c@n"), SENT)

    def test_dest_of_pub(self) -> None:
        """9.10: a PUB may say dest for dst, though its dst may be missing altogether."""
        self.assertEqual(read_pub(dest="#n"), Pub("m", "a@n", "hi", "#n"))

    def test_dest_elsewhere(self) -> None:
        """9.10: dest counts for dst in every message that has one."""
        self.assertEqual(read("ACK", msg_id="m", dest="a@n"), Ack("m", dst="a@n"))
        self.assertEqual(read("BYE", dest="a@n"), Bye(dst="a@n"))
        self.assertEqual(read("METRICS_REQ", msg_id="m", dest="a@n"), MetricsReq("m", dst="a@n"))
        self.assertEqual(read("ERROR", dest="a@n"), Error(dst="a@n"))

    def test_ack_alone(self) -> None:
        """9.10: an ACK may be its type and msg_id alone."""
        self.assertEqual(read("ACK", msg_id="m"), Ack("m"))

    def test_ack_with_nulls(self) -> None:
        """9.10: what an ACK says beside its msg_id may be null or no text."""
        self.assertEqual(read("ACK", msg_id="m", **{"from": None, "src": 1, "dst": ["x"]}), Ack("m"))

    def test_pub_to_all(self) -> None:
        """9.12: the dst of a PUB may be ``*``."""
        self.assertEqual(read_pub(dst="*"), Pub("m", "a@n", "hi", "*"))

    def test_pub_to_namespace(self) -> None:
        """9.12: the dst of a PUB may be ``#ns``."""
        self.assertEqual(read_pub(dst="#n"), Pub("m", "a@n", "hi", "#n"))

    def test_pub_to_bare_namespace(self) -> None:
        """9.12: the dst of a PUB may be ``ns`` without ``#``."""
        self.assertEqual(read_pub(dst="n"), Pub("m", "a@n", "hi", "n"))

    def test_pub_to_us(self) -> None:
        """9.12: the dst of a PUB may be the recipient's own peer_id."""
        self.assertEqual(read_pub(dst="b@n"), Pub("m", "a@n", "hi", "b@n"))

    def test_pub_without_dst(self) -> None:
        """9.12: the dst of a PUB may be missing, null or empty."""
        for fields in ({}, {"dst": None}, {"dst": ""}):
            self.assertEqual(read_pub(**fields), Pub("m", "a@n", "hi", ""))

    def test_pub_require_ack(self) -> None:
        """Section 4: the require_ack of a PUB counts as false where it is missing or null."""
        self.assertEqual(read_pub(require_ack=None), read_pub(require_ack=False))

    def test_colliding_msg_ids(self) -> None:
        """9.13: two messages with one msg_id stay two: src, msg_id and payload are all kept."""
        first, second = read_send(msg_id="1730000000"), read_send(msg_id="1730000000", payload="ho")
        assert isinstance(first, Send)
        assert isinstance(second, Send)
        self.assertEqual((first.src, first.msg_id), (second.src, second.msg_id))
        self.assertEqual((first.payload, second.payload), ("hi", "ho"))


class ByeTests(SynchronousTestCase):
    """BYE and BYE_OK of others."""

    def test_bye_without_ids(self) -> None:
        """9.10: a BYE may come without any id, or with ids of null."""
        self.assertEqual(read("BYE"), Bye())
        self.assertEqual(read("BYE", msg_id=None, src=None, dst=None, reason=None), Bye(reason=UNSET))

    def test_bye_with_strange_ids(self) -> None:
        """9.10: ids of a BYE that are no text are as good as none."""
        self.assertEqual(read("BYE", msg_id=7, src=[], dst={}, reason=False), Bye())

    def test_bye_ok_with_another_id(self) -> None:
        """9.10: a BYE_OK may carry another id than the BYE did."""
        self.assertEqual(read("BYE_OK", msg_id="other"), ByeOk("other"))
        self.assertEqual(read("BYE_OK", msg_id=12), ByeOk())

    def test_bye_ok_without_id(self) -> None:
        """9.10: a BYE_OK may carry no id."""
        self.assertEqual(read("BYE_OK"), ByeOk())


class AnyMessageTests(SynchronousTestCase):
    """What holds for every type."""

    def test_extra_fields(self) -> None:
        """9.10: any extra field is ignored, whatever it holds."""
        self.assertEqual(read_send(color="red", extra={"deep": [1, {"er": None}]}, big=10**400), SENT)

    def test_null_is_missing(self) -> None:
        """9.10: null in any field that has a default is the same as nothing."""
        names = ("ttl", "src", "dst", "from", "rtt_ms", "sent_count", "recv_count", "last_seen")
        nulls = dict.fromkeys(names)
        self.assertEqual(read("METRICS", msg_id="m", **nulls), Metrics("m"))
        self.assertEqual(read("METRICS_REQ", msg_id="m", **nulls), MetricsReq("m"))

    def test_letter_case(self) -> None:
        """9.10: types are upper case; another letter case is another type."""
        for kind in ("ping", "Ping", "PINg"):
            self.assertRaises(UnknownType, read, kind, msg_id="m")


class ErrorTests(SynchronousTestCase):
    """ERROR in the two forms of the specification, and as others bend them."""

    def test_form_with_status(self) -> None:
        """Section 8: the form that has a status and no type is an ERROR."""
        error = read(None, status="ERROR", error="no_route", detail="gone")
        self.assertEqual(error, Error(error="no_route", detail="gone"))
        assert isinstance(error, Error)
        self.assertEqual(error.reason, "no_route")

    def test_form_with_type(self) -> None:
        """Section 8: the form that has a type, a code and a ref."""
        error = read("ERROR", code="no_route", ref="m", detail="gone")
        self.assertEqual(error, Error(code="no_route", ref="m", detail="gone"))
        assert isinstance(error, Error)
        self.assertEqual(error.reason, "no_route")

    def test_both_forms_at_once(self) -> None:
        """Section 8: both forms in one object, as we send them."""
        error = read("ERROR", status="ERROR", error="busy", code="busy", ref="m", limit=3, ttl=8)
        self.assertEqual(error, Error(error="busy", code="busy", ref="m", limit=3))

    def test_type_of_null(self) -> None:
        """Section 8: beside a status of ERROR a type of null is no type."""
        self.assertEqual(read(None, type=None, status="ERROR", error="busy"), Error(error="busy"))

    def test_unknown_code(self) -> None:
        """Section 8: from others any code is understood."""
        self.assertEqual(read("ERROR", code="who_knows"), Error(code="who_knows"))

    def test_message_for_detail(self) -> None:
        """Section 8: the words may be in message, in both forms; detail comes first."""
        self.assertEqual(read(None, status="ERROR", message="gone"), Error(detail="gone"))
        self.assertEqual(read("ERROR", code="busy", message="gone"), Error(code="busy", detail="gone"))
        self.assertEqual(read("ERROR", detail="full", message="gone"), Error(detail="full"))

    def test_detail_of_another_kind(self) -> None:
        """Section 8: a detail that is no text is shown as the JSON that it was."""
        self.assertEqual(read("ERROR", detail={"a": [1, "é"]}), Error(detail='{"a": [1, "\\u00e9"]}'))
        self.assertEqual(read(None, status="ERROR", message=[1]), Error(detail="[1]"))

    def test_limit_of_another_kind(self) -> None:
        """Section 8: a limit that is no whole number is no limit."""
        limits: tuple[Any, ...] = ("32768", 1.5, True, [], None)
        for limit in limits:
            self.assertEqual(read("ERROR", code="line_too_long", limit=limit), Error(code="line_too_long"))

    def test_strange_fields(self) -> None:
        """Section 8: fields of an ERROR that are no text are as good as none."""
        self.assertEqual(read("ERROR", code=404, error=["x"], ref=7, dst={}, status=0), Error())


class SealTests(SynchronousTestCase):
    """What others call by the names of section 11."""

    def test_of_the_wrong_kind(self) -> None:
        """9.10: any extra field is accepted; one that is none of ours is not taken for one."""
        for name, values in {
            "sealed": (True, 5, {}),
            "key": (5, [], False),
            "sig": (5, {"a": 1}),
            "time_ms": ("12:00", 1.5, -1, 2**53, True, 10**40),
        }.items():
            for value in values:
                self.assertEqual(read_send(**{name: value}), SENT)
                self.assertEqual(read_pub(**{name: value}), Pub("m", "a@n", "hi"))
        question = read("WHO_HAS", msg_id="m", src="a@n", dst="b@n", signed="yes")
        self.assertEqual(question, WhoHas("m", "a@n", "b@n"))

    def test_ours_beside_them(self) -> None:
        """What is of the right kind is kept, where something else is not."""
        read_one = read_send(timestamp=5, time_ms=7, key="k", sig="s")
        self.assertEqual(read_one, Send("m", "a@n", "b@n", "hi", time_ms=7, key="k", sig="s"))

    def test_unreadable_beside_dest(self) -> None:
        """A value that happens to be dest makes no message unreadable that has all it needs."""
        line = b'{"type":"TTL_EXPIRED","msg_id":"m","reason":"dest","x":1E+400}'
        self.assertEqual(decode(line), TtlExpired("m", reason="dest"))
