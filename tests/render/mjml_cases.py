"""An email for every value of every attribute of every component of MJML."""

from collections.abc import Iterator, Mapping

_COLUMN = "<mj-section><mj-column>{}</mj-column></mj-section>"
_ACCORDION = _COLUMN.format("<mj-accordion><mj-accordion-element>{}</mj-accordion-element></mj-accordion>")
_AROUND = {
    "mj-section": "{}",
    "mj-wrapper": "{}",
    "mj-hero": "{}",
    "mj-column": "<mj-section>{}<mj-column><mj-text>o</mj-text></mj-column></mj-section>",
    "mj-group": "<mj-section>{}</mj-section>",
    "mj-social-element": _COLUMN.format("<mj-social>{}</mj-social>"),
    "mj-navbar-link": _COLUMN.format("<mj-navbar>{}</mj-navbar>"),
    "mj-accordion-element": _COLUMN.format("<mj-accordion>{}</mj-accordion>"),
    "mj-accordion-title": _ACCORDION.replace("{}", "{}<mj-accordion-text>x</mj-accordion-text>"),
    "mj-accordion-text": _ACCORDION.replace("{}", "<mj-accordion-title>x</mj-accordion-title>{}"),
    "mj-carousel-image": _COLUMN.format(
        '<mj-carousel>{}<mj-carousel-image src="https://e.example/b.png"/></mj-carousel>'
    ),
}
_TEXT_COLUMN = "<mj-column><mj-text>x</mj-text></mj-column>"
_TITLE_AND_TEXT = "<mj-accordion-title>t</mj-accordion-title><mj-accordion-text>x</mj-accordion-text>"
_INSIDE = {
    "mj-section": _TEXT_COLUMN,
    "mj-wrapper": f"<mj-section>{_TEXT_COLUMN}</mj-section>" * 2,
    "mj-hero": "<mj-text>x</mj-text>",
    "mj-body": f"<mj-section>{_TEXT_COLUMN}</mj-section>",
    "mj-column": '<mj-text>x</mj-text><mj-image src="https://e.example/a.png"/>',
    "mj-group": _TEXT_COLUMN * 2,
    "mj-social": '<mj-social-element name="facebook" href="https://f.example/">F</mj-social-element>'
    '<mj-social-element name="x">X</mj-social-element>',
    "mj-navbar": '<mj-navbar-link href="/a">A</mj-navbar-link><mj-navbar-link href="/b">B</mj-navbar-link>',
    "mj-accordion": f"<mj-accordion-element>{_TITLE_AND_TEXT}</mj-accordion-element>",
    "mj-accordion-element": _TITLE_AND_TEXT,
    "mj-carousel": '<mj-carousel-image src="https://e.example/a.png"/><mj-carousel-image src="https://e.example/b.png"/>',
    "mj-table": "<tr><td>a</td></tr>",
    "mj-image": "",
    "mj-divider": "",
    "mj-spacer": "",
    "mj-carousel-image": "",
}
_NEEDED = {
    "mj-image": {"src": "https://e.example/a.png"},
    "mj-carousel-image": {"src": "https://e.example/a.png"},
    "mj-navbar-link": {"href": "/x"},
    "mj-button": {"href": "https://b.example/"},
    "mj-social-element": {"name": "twitter", "href": "https://t.example/"},
}
_OF_TEXT = {
    "name": ["facebook", "github", "google-noshare", "custom"],
    "background-position": ["center center", "top", "10px 20px", "left top", "20% 30%"],
    "background-size": ["cover", "contain", "100px", "50% 40%", "auto"],
    "background-position-x": ["10%", "right", "center"],
    "background-position-y": ["10%", "right", "center"],
}
_LINKED = ("url", "src", "href", "action", "left-icon", "right-icon")


def _values(name: str, kind: str) -> list[str]:
    """Values that an attribute can have; `kind` as MJML writes it: unit(px,%){1,4}, enum(left,right)."""
    if kind.startswith("enum"):
        return [value.strip() for value in kind[kind.index("(") + 1 : kind.rindex(")")].split(",")]
    if kind.startswith("unit"):
        values = ["12px", *(["10%"] if "%" in kind else []), *(["auto"] if "auto" in kind else [])]
        return [*values, *(["1px 2px 3px 4px", "5px 6px", "1px 2px 3px"] if "{1,4}" in kind else [])]
    if kind in ("color", "boolean", "integer"):
        return {"color": ["#ff0000", "red", "transparent", "#abc"], "boolean": ["true"], "integer": ["3"]}[kind]
    if "border" in name and "radius" not in name:
        return ["2px solid red", "none"]
    if any(word in name for word in _LINKED):
        return ["https://u.example/i.png"]
    return _OF_TEXT.get(name, ["abc"])


def attributes(components: Mapping[str, Mapping[str, str]], most: int | None = None) -> Iterator[tuple[str, str]]:
    """A name and an email for each value of each attribute, or for `most` values of it. `components`: name ->
    attribute -> kind.
    """
    for component, kinds in components.items():
        if component != "mj-body" and component not in _AROUND and component not in _LEAVES:
            continue
        for attribute, kind in {"": "", "css-class": "string", **kinds}.items():
            for value in _values(attribute, kind)[:most] if attribute else [""]:
                given = dict(_NEEDED.get(component, {}))
                if attribute.startswith("background-") and component in ("mj-section", "mj-wrapper", "mj-hero"):
                    given["background-url"] = "https://u.example/bg.png"
                given |= {attribute: value} if attribute else {}
                written = "".join(f' {name}="{text}"' for name, text in given.items())
                element = f"<{component}{written}>{_INSIDE.get(component, 'txt')}</{component}>"
                body = element if component == "mj-body" else _AROUND.get(component, _COLUMN).format(element)
                body = body if component == "mj-body" else f"<mj-body>{body}</mj-body>"
                yield " ".join(filter(None, (component, attribute, value))), f"<mjml>{body}</mjml>"


_LEAVES = ("mj-text", "mj-button", "mj-image", "mj-divider", "mj-spacer", "mj-table", "mj-social", "mj-navbar",
           "mj-accordion", "mj-carousel")  # fmt: skip
