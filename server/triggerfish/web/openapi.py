"""The OpenAPI description, with what Litestar cannot know of it: paths that are mounted as ASGI, bodies that are read
by hand, which key opens what, and what refusals look like.

Not described are the pages for people and the addresses in messages (/t/…): they answer HTML to browsers and mail
programs, and are nothing to program against; the one-letter paths of the browser SDK, which are the calls described
here; and OPTIONS, which browsers ask by themselves.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

import msgspec
from litestar import Request
from litestar.openapi.plugins import JsonRenderPlugin
from msgspec import Struct

from triggerfish import ingest
from triggerfish.suppressing import MOST_LINES, Line
from triggerfish.web.consent import Choice
from triggerfish.web.holds import HoldForm, Outcome
from triggerfish.web.plan import Discard, Replay
from triggerfish.web.problems import MEDIA_TYPE

Schema = dict[str, Any]

_JSON = "application/json"
_ADMIN: Schema = {"adminKey": []}
_WRITE: Schema = {"writeKey": []}
_IN_BODY: Schema = {}
"""A write key may stand in the body, which OpenAPI has no word for."""


class _Told(Struct, frozen=True):
    """What is to be said of an operation besides: the keys it takes, refusals beyond the usual ones, its body."""

    keys: tuple[Schema, ...] = (_ADMIN,)
    refusals: tuple[int, ...] = ()
    body: Schema = {}
    needs_body: bool = True


_CALLS = ("track", "identify", "page", "screen", "group", "alias")


def _ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def _json(schema: Schema) -> Schema:
    return {_JSON: {"schema": schema}}


_MAIL: Schema = {"type": "string", "format": "binary", "description": "A mail (RFC 5322), as it is."}
_EVENTS = {
    f"/v1/{call}": _Told((_WRITE, _IN_BODY), (415,), _json(_ref("Batch" if ingest.is_batch(call) else "Call")))
    for call in (*_CALLS, "batch", "import")
}
_TOLD = {
    **{f"post {path}": told for path, told in _EVENTS.items()},
    "get /healthz": _Told(()),
    "get /readyz": _Told((), (503,)),
    "get /readyz/{part}": _Told((), (404, 503)),
    "get /v1/projects/{write_key}/settings": _Told(()),
    "post /v1/consent": _Told((_WRITE, _ADMIN, _IN_BODY), (403, 415), _json(_ref("Choice"))),
    "post /v1/hooks/{source}": _Told((), (401, 415), _json({"description": "Whatever the provider sends."})),
    "post /v1/reports": _Told(
        (_WRITE,), (415,), {kind: {"schema": _MAIL} for kind in ("message/rfc822", "application/octet-stream")}, False
    ),
    "get /v1/sends": _Told(refusals=(404,)),
    "post /v1/holds": _Told(refusals=(404,), body=_json(_ref("HoldForm"))),
    "post /v1/sends/{send_id}/resolve": _Told(refusals=(409,), body=_json(_ref("Outcome"))),
    "post /v1/quarantine/replay": _Told(body=_json(_ref("Replay")), needs_body=False),
    "post /v1/quarantine/discard": _Told(body=_json(_ref("Discard")), needs_body=False),
    "post /v1/suppressions": _Told(
        body=_json({"oneOf": [_ref("Line"), {"type": "array", "items": _ref("Line"), "maxItems": MOST_LINES}]})
        | {"text/csv": {"schema": {"type": "string"}}}
    ),
}
"""Operations that are not among these take the admin key and no body, and refuse nothing unusual."""


class DescriptionPlugin(JsonRenderPlugin):
    """Gives the description as JSON. It is made once: anybody may ask for it, as often as they like."""

    _made = b""

    def render(self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:
        self._made = self._made or self.render_json(request, described(openapi_schema))
        return self._made


def described(generated: dict[str, Any]) -> dict[str, Any]:
    """The whole description, from what Litestar has made of the handlers."""
    _, shapes = msgspec.json.schema_components(
        (Choice, HoldForm, Outcome, Replay, Discard, Line), ref_template="#/components/schemas/{name}"
    )
    paths = dict(generated["paths"])
    paths |= {path: {"post": _operation(f"Take {path.rpartition('/')[2]}", _ref("Stored"))} for path in _EVENTS}
    paths["/v1/consent"] = {"post": _operation("Take consent", _ref("Stored"))}
    paths["/metrics"] = {"get": _operation("Figures for Prometheus", {"type": "string"}, "text/plain")}
    components = dict(generated["components"])
    components["schemas"] = components["schemas"] | shapes | _SCHEMAS
    components["securitySchemes"] = _KEYS
    told = {
        path: {
            method: _with(operation, path, method) for method, operation in operations.items() if method != "options"
        }
        for path, operations in sorted(paths.items())
    }
    return generated | {"paths": told, "components": components}


def _operation(summary: str, answer: Schema, media_type: str = _JSON) -> Schema:
    content = {media_type: {"schema": answer}}
    return {
        "summary": summary,
        "operationId": "".join(word.capitalize() for word in summary.split()),
        "responses": {"200": {"description": "OK", "content": content}},
    }


def _with(operation: Schema, path: str, method: str) -> Schema:
    told = _TOLD.get(f"{method} {path}", _Told())
    refusals = {400, *told.refusals}
    if told.keys:
        refusals.add(401)
    if "{" in path:
        refusals.add(404)
    if method != "get":
        refusals |= {429, 503}
    full = {**operation, "security": list(told.keys)}
    if told.body:
        refusals |= {408, 413}
        full["requestBody"] = {"required": told.needs_body, "content": told.body}
    full["responses"] = {str(code): answer for code, answer in operation["responses"].items() if str(code) != "400"}
    full["responses"] |= {str(code): _refusal(code) for code in sorted(refusals)}
    return full


def _refusal(code: int) -> Schema:
    refusal: Schema = {
        "description": HTTPStatus(code).phrase,
        "content": {MEDIA_TYPE: {"schema": _ref("Problem")}},
    }
    if code in (429, 503):
        seconds = {"type": "integer", "minimum": 1}
        refusal["headers"] = {"Retry-After": {"description": "Seconds.", "required": True, "schema": seconds}}
    return refusal


def _shape(description: str, properties: Schema, *required: str, **more: Any) -> Schema:
    return {
        "type": "object",
        "description": description,
        "properties": properties,
        "required": list(required),
        **more,
    }


_TEXT: Schema = {"type": "string"}
_MAYBE: Schema = {"type": ["string", "null"]}
_NAME: Schema = {"type": ["string", "null"], "maxLength": ingest.LONGEST_NAME}
_ID: Schema = {"type": ["string", "integer", "null"], "maxLength": ingest.LONGEST_NAME}
_TABLE: Schema = {"type": ["object", "null"]}
_TIME: Schema = {"type": ["string", "null"], "description": "ISO 8601, from 1970 on."}
_FIELDS: Schema = {
    "event": _MAYBE,
    "name": _MAYBE,
    "category": _MAYBE,
    "messageId": _NAME,
    "userId": _ID,
    "anonymousId": _ID,
    "previousId": _ID,
    "groupId": _ID,
    "timestamp": _TIME,
    "originalTimestamp": _TIME,
    "sentAt": _TIME,
    "properties": _TABLE,
    "traits": _TABLE,
    "context": _TABLE,
    "integrations": _TABLE,
}

_TYPED: Schema = {"type": "object", "properties": {"type": {"enum": list(_CALLS)}}, "required": ["type"]}

_SCHEMAS: Schema = {
    "Call": _shape(
        "One call of Segment's HTTP API, at most 32 KB. `userId` or `anonymousId` is there; `event` of a track call "
        "(512 characters), `groupId` of a group call, `userId` and `previousId` of an alias call. Other fields are "
        "not read.",
        _FIELDS,
    ),
    "Batch": _shape(
        "Many calls, each with its `type`; at most 500 KB. All are stored or none.",
        {
            "batch": {"type": "array", "items": {"allOf": [_ref("Call"), _TYPED]}},
            "context": _TABLE,
            "integrations": _TABLE,
            "sentAt": _TIME,
        },
        "batch",
    ),
    "Stored": _shape("It is on disk.", {"success": {"type": "boolean", "const": True}}, "success"),
    "Problem": _shape(
        "Problem details (RFC 9457).",
        {
            "type": _TEXT,
            "title": _TEXT,
            "status": {"type": "integer"},
            "detail": _TEXT,
            "code": {"type": "string", "pattern": "^TF[0-9]{3}$"},
            "field": _TEXT,
            "expected": _TEXT,
            "hint": _TEXT,
            "problems": {"type": "array", "items": _TEXT},
            "errors": {"type": "array"},
        },
        "type", "title", "status", "detail", "code",
    ),
}  # fmt: skip

_KEYS: Schema = {
    "writeKey": {
        "type": "http",
        "scheme": "basic",
        "description": "A write key as the user, the password empty. For events, `writeKey` in the body does as well.",
    },
    "adminKey": {"type": "http", "scheme": "bearer", "description": "The admin key."},
}
