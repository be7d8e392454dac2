"""What people agree to, as a shop or an app tells it: `POST /v1/consent`, with the proof (docs/consent.md)."""

from __future__ import annotations

import hmac
from typing import Annotated, Any

import msgspec
from litestar import HttpMethod, Request, Response, route
from msgspec import Meta, Struct

from triggerfish import ingest, walk
from triggerfish.consent import EVERYTHING, LONGEST_PROOF, LONGEST_PURPOSE, PURPOSE_LIMIT, UPDATED
from triggerfish.errors import Refused, TriggerfishError
from triggerfish.ingest import Event
from triggerfish.web.bodies import NO_JSON, read_body
from triggerfish.web.events import CROSS_ORIGIN, PREFLIGHT
from triggerfish.web.given import Front, TheDesk
from triggerfish.web.keys import check_write_key, write_key_in_header
from triggerfish.web.problems import MEDIA_TYPE, headers_of, problem_body, status_of

Said = Annotated[str, Meta(max_length=LONGEST_PROOF)]


class Choice(Struct, frozen=True, forbid_unknown_fields=True, rename="camel", kw_only=True):
    """The body. One of `user_id`, `anonymous_id` and `email` at least."""

    purposes: Annotated[
        dict[Annotated[str, Meta(max_length=LONGEST_PURPOSE)], bool], Meta(min_length=1, max_length=PURPOSE_LIMIT)
    ]
    user_id: str | int | None = None
    anonymous_id: str | int | None = None
    email: Annotated[str, Meta(pattern=r"^[^\s@]+@[^\s@]+(?!\n)$", max_length=320)] | None = None
    text: Said = ""
    how: Annotated[str, Meta(max_length=100)] = ""
    by: Said = ""
    page: Said = ""
    ip: Annotated[str, Meta(max_length=45)] = ""
    user_agent: Said = ""
    confirmed: bool = False
    timestamp: str | None = None
    sent_at: str | None = None
    message_id: str | None = None
    write_key: str | None = None


@route("/v1/consent", http_method=[HttpMethod.POST, HttpMethod.OPTIONS], status_code=200)
async def take_consent(request: Request[Any, Any, Any], front: Front, desk: TheDesk) -> Response[bytes]:
    """What somebody said yes or no to: 200 `{"success": true}` once it is on disk."""
    if request.method == HttpMethod.OPTIONS:
        return Response(b"", status_code=204, headers=PREFLIGHT)
    try:
        arrived_at = front.clock.wall()
        headers = dict(request.scope["headers"])
        body = await read_body(request.receive, headers, ingest.LARGEST_EVENT)
        choice = _read(body)
        is_admin = _is_admin(front, request.headers.get("authorization", ""))
        if not is_admin:
            authorization = headers.get(b"authorization")
            if authorization is not None:
                check_write_key(front, write_key_in_header(authorization), "Authorization")
            else:
                check_write_key(front, choice.write_key, "writeKey")
            if choice.confirmed:
                raise Refused(
                    "a write key cannot say that a consent is confirmed", code="TF683", field="confirmed",
                    expected="the admin key as bearer",
                    hint="leave it out: a double opt-in confirms by the link in a mail",
                )  # fmt: skip
        _check_purposes(choice, [each.name for each in desk.reads.rulebook().purposes])
        agent = choice.user_agent or ("" if is_admin else request.headers.get("user-agent", ""))
        await walk.agree(front, event_of(front, choice, agent, arrived_at), arrived_at)
    except TriggerfishError as error:
        return Response(
            problem_body(error), status_code=status_of(error), media_type=MEDIA_TYPE,
            headers=headers_of(error) | CROSS_ORIGIN,
        )  # fmt: skip
    return Response(b'{"success": true}', media_type="application/json", headers=CROSS_ORIGIN)


routes = [take_consent]


def event_of(front: walk.FrontDoor, choice: Choice, user_agent: str, arrived_at: int) -> Event:
    """The choice as an event of kind "consent"; identities and times are read as a track call's are. Raises Refused."""
    # 0 is an identity; empty text and none are not.
    is_only_address = choice.email is not None and all(
        each in (None, "") for each in (choice.user_id, choice.anonymous_id)
    )
    call = {
        "type": "track",
        "event": UPDATED,
        "userId": choice.user_id,
        # An address is a name of its own here; a track call has none.
        "anonymousId": "-" if is_only_address else choice.anonymous_id,
        "timestamp": choice.timestamp,
        "sentAt": choice.sent_at,
        "messageId": choice.message_id,
    }
    (event,) = ingest.accept(msgspec.json.encode(call), "track", arrived_at, new_message_id=front.new_message_id)
    said = {
        "text": choice.text, "how": choice.how, "by": choice.by, "page": choice.page, "ip": choice.ip,
        "user_agent": user_agent, "confirmed": choice.confirmed,
    }  # fmt: skip
    return msgspec.structs.replace(
        event,
        kind="consent",
        anonymous_id=None if is_only_address else event.anonymous_id,
        properties={"purposes": choice.purposes} | {key: value for key, value in said.items() if value},
        traits={} if choice.email is None else {"email": choice.email},
    )


def _read(body: bytes) -> Choice:
    try:
        return msgspec.json.decode(body, type=Choice)
    except msgspec.ValidationError as error:
        sentence, _, path = str(error).partition(" - at `$")
        field = path.rstrip("`").lstrip(".").removesuffix("[...]")
        raise Refused(
            f"{field or 'the body'}: {sentence}", code="TF681", field=field,
            expected='{"email": …, "purposes": {"newsletter": true}, "text": …}',
        ) from None  # fmt: skip
    except NO_JSON as error:
        raise Refused(f"the body is not JSON: {error}", code="TF101", expected="a JSON object in UTF-8") from None


def _check_purposes(choice: Choice, declared: list[str]) -> None:
    for name in choice.purposes if declared else ():
        if name != EVERYTHING and name not in declared:
            raise Refused(
                f'no purpose "{name}" is declared', code="TF682", field=f"purposes.{name}",
                expected=", ".join(declared), hint="purposes are declared in rules/, under purposes:",
            )  # fmt: skip


def _is_admin(front: walk.FrontDoor, authorization: str) -> bool:
    scheme, _, key = authorization.partition(" ")
    return scheme.lower() == "bearer" and hmac.compare_digest(key.strip().encode(), front.admin_key.encode())
