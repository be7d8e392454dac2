"""Makes clients.json from the npm package `caniemail`: `python -m triggerfish.adapters.mailcheck.gather FILE.tgz`.

FILE.tgz is what `npm pack caniemail` fetches. Of each feature, only what the newest tested version of each main client
does is kept, with its notes; features that all of them have are left out. Run it again for a newer version of the data.
"""

from __future__ import annotations

import json
import re
import sys
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

CLIENTS = {
    "gmail.desktop-webmail": "Gmail (web)",
    "gmail.ios": "Gmail (iOS)",
    "gmail.android": "Gmail (Android)",
    "apple-mail.ios": "Apple Mail (iOS)",
    "apple-mail.macos": "Apple Mail (macOS)",
    "outlook.windows": "Outlook (Windows)",
    "outlook.macos": "Outlook (macOS)",
    "outlook.outlook-com": "Outlook (web)",
    "outlook.ios": "Outlook (iOS)",
    "outlook.android": "Outlook (Android)",
    "yahoo.desktop-webmail": "Yahoo (web)",
    "yahoo.ios": "Yahoo (iOS)",
    "yahoo.android": "Yahoo (Android)",
    "aol.desktop-webmail": "AOL (web)",
    "aol.ios": "AOL (iOS)",
    "aol.android": "AOL (Android)",
    "samsung-email.android": "Samsung Email (Android)",
    "thunderbird.macos": "Thunderbird (desktop)",
    "gmx.desktop-webmail": "GMX (web)",
    "gmx.ios": "GMX (iOS)",
    "gmx.android": "GMX (Android)",
    "web-de.desktop-webmail": "WEB.DE (web)",
    "web-de.ios": "WEB.DE (iOS)",
    "web-de.android": "WEB.DE (Android)",
    "orange.desktop-webmail": "Orange (web)",
    "orange.ios": "Orange (iOS)",
    "orange.android": "Orange (Android)",
}
"""The mail programs that are looked at, by caniemail's names for them."""

_MARKS: dict[str, list[str]] = {
    "css-at-media-device-pixel-ratio": ["media:device-pixel-ratio", "media:min-device-pixel-ratio",
                                        "media:-webkit-min-device-pixel-ratio", "media:-webkit-device-pixel-ratio"],
    "css-at-media-hover": ["media:hover", "media:any-hover"],
    "css-at-media-orientation": ["media:orientation"],
    "css-at-media-prefers-color-scheme": ["media:prefers-color-scheme"],
    "css-at-media-prefers-reduced-motion": ["media:prefers-reduced-motion"],
    "css-block-inline-size": ["property:block-size", "property:inline-size"],
    "css-border-inline-block-individual": ["property:border-block-end", "property:border-block-start",
                                           "property:border-inline-end", "property:border-inline-start"],
    "css-border-inline-block-longhand": ["property:border-block-color", "property:border-block-style",
                                         "property:border-block-width", "property:border-inline-color",
                                         "property:border-inline-style", "property:border-inline-width"],
    "css-border-inline-block": ["property:border-inline", "property:border-block"],
    "css-border-radius-logical": ["property:border-end-end-radius", "property:border-end-start-radius",
                                  "property:border-start-end-radius", "property:border-start-start-radius"],
    "css-border-radius": ["property:border-radius", "property:border-top-left-radius",
                          "property:border-top-right-radius", "property:border-bottom-left-radius",
                          "property:border-bottom-right-radius"],
    "css-color-scheme": ["property:color-scheme"],
    "css-column-layout-properties": ["property:column-fill", "property:column-rule", "property:column-span",
                                     "property:column-width", "property:columns"],
    "css-flex-direction": ["property:flex-direction"],
    "css-flex-wrap": ["property:flex-wrap"],
    "css-gap": ["property:gap", "property:column-gap", "property:row-gap"],
    "css-grid-template": ["property:grid-template", "property:grid-template-areas", "property:grid-template-columns",
                          "property:grid-template-rows"],
    "css-important": ["important:"],
    "css-intrinsic-size": ["keyword:fit-content", "keyword:min-content", "keyword:max-content"],
    "css-left-right-top-bottom": ["property:left", "property:right", "property:top", "property:bottom"],
    "css-margin-block-start-end": ["property:margin-block-start", "property:margin-block-end"],
    "css-margin-inline-block": ["property:margin-inline", "property:margin-block"],
    "css-margin-inline-start-end": ["property:margin-inline-start", "property:margin-inline-end"],
    "css-modern-color": ["function:lch", "function:oklch", "function:lab", "function:oklab"],
    "css-nesting": ["nesting:"],
    "css-padding-block-start-end": ["property:padding-block-start", "property:padding-block-end"],
    "css-padding-inline-block": ["property:padding-inline", "property:padding-block"],
    "css-padding-inline-start-end": ["property:padding-inline-start", "property:padding-inline-end"],
    "css-pseudo-class-lang": ["pseudo-class:lang"],
    "css-pseudo-class-not": ["pseudo-class:not"],
    "css-selector-adjacent-sibling": ["selector:+"],
    "css-selector-attribute": ["selector:[]"],
    "css-selector-chaining": ["selector:chain"],
    "css-selector-child": ["selector:>"],
    "css-selector-class": ["selector:."],
    "css-selector-general-sibling": ["selector:~"],
    "css-selector-id": ["selector:#"],
    "css-selector-type": ["selector:type"],
    "css-selector-universal": ["selector:*"],
    "css-sytem-ui": [f"keyword:{name}" for name in ("system-ui", "ui-serif", "ui-sans-serif", "ui-rounded",
                                                    "ui-monospace")],
    "css-unit-initial": ["keyword:initial"],
    "css-variables": ["function:var", "property:--"],
    "html-address": ["element:address"],
    "html-anchor-links": ["anchor:"],
    "html-image-maps": ["element:map"],
    "html-input-text": ["input:text"],
    "html-lists": ["element:ul", "element:ol", "element:dl"],
    "html-mailto-links": ["mailto:"],
    "html-meta-color-scheme": ["meta:color-scheme"],
    "html-semantics": [f"element:{name}" for name in (
        "article", "aside", "details", "figcaption", "figure", "footer", "header", "main", "mark", "nav", "section",
        "summary", "time")],
    "html-srcset": ["attribute:srcset", "attribute:sizes"],
    "image-base64": ["image:base64"],
    "image-heif": ["image:heif", "image:heic"],
    "image-jpg": ["image:jpg", "image:jpeg"],
    "image-tiff": ["image:tif", "image:tiff"],
}  # fmt: skip
"""How a feature shows in a mail, where caniemail's name for it does not say so by itself. See `uses.py`."""

_NOT_IN_TEMPLATES = {"amp", "bimi", "css-comments", "html-comments", "html-doctype", "html-body", "image-hdr",
                     "css-inert-attribute", "html-h1-h6"}  # fmt: skip
"""What a template cannot have, or what MJML writes for it."""


def marks_of(slug: str, title: str) -> list[str]:
    """How uses of a feature show: "property:gap", "element:video", …; empty when its name does not tell."""
    if slug in _MARKS:
        return _MARKS[slug]
    name = title.split(" ")[0]
    if found := re.fullmatch(r"([a-z-]+):\s*([a-z-]+)", title):
        return [f"value:{found[1]}:{found[2]}"]
    for start, kind in (("css-pseudo-class-", "pseudo-class"), ("css-pseudo-element-", "pseudo-element"),
                        ("css-function-", "function"), ("css-at-", "at"), ("image-", "image")):  # fmt: skip
        if slug.startswith(start):
            return [f"{kind}:{slug.removeprefix(start)}"]
    if slug.startswith("css-unit-"):
        unit = slug.removeprefix("css-unit-")
        return ["function:calc"] if unit == "calc" else [f"unit:{'%' if unit == 'percent' else unit}"]
    if found := re.fullmatch(r"([a-z-]+)\(\)", title):
        return [f"function:{found[1]}"]
    if slug.startswith("css-") and re.fullmatch(r"[a-z-]+", name):
        return [f"property:{name}"]
    if found := re.fullmatch(r'<(input|button) type="(\w+)"> element', title):
        return [f"{found[1]}:{found[2]}"]
    if found := re.search(r"<(\w+)>", title):
        return [f"element:{found[1]}"]
    if title.endswith(" attribute"):
        return [f"attribute:{name}"]
    return []


def gather(data: Mapping[str, Any], version: str) -> dict[str, Any]:
    """The compact form: of each feature a letter for each client (y, n, a: partly, u: unknown) and notes on it."""
    features = {}
    for feature in sorted(data["data"], key=lambda feature: str(feature["slug"])):
        marks = marks_of(feature["slug"], feature["title"])
        if feature["slug"] in _NOT_IN_TEMPLATES or not marks:
            continue
        letters, notes = "", {}
        for number, client in enumerate(CLIENTS):
            family, _, platform = client.partition(".")
            told = _newest(feature["stats"].get(family, {}).get(platform, {}))
            letters += told[:1]
            texts = [str(feature["notes_by_num"][each]) for each in re.findall(r"#(\d+)", told)
                     if each in (feature["notes_by_num"] or {})]  # fmt: skip
            if texts and told[:1] in "na":
                notes[str(number)] = " ".join(_plain(text) for text in texts)
        if "n" in letters or "a" in letters:
            features[feature["slug"]] = {
                "title": feature["title"].strip(), "marks": marks, "support": letters, "notes": notes,
            }  # fmt: skip
    source = {"package": "caniemail", "version": version, "updated": data["last_update_date"][:10], "licence": "MIT"}
    return {"source": source, "clients": list(CLIENTS.values()), "features": features}


def _newest(stats: Mapping[str, str]) -> str:
    """What the newest tested version does; the file has versions from old to new, months and numbers mixed."""
    return list(stats.values())[-1] if stats else "u"


def _plain(note: str) -> str:
    """A note without its Markdown links, and not longer than a line or two."""
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", note).strip()
    return text if len(text) <= 160 else text[:159] + "…"


def main() -> None:
    """Read the package, and write clients.json and the licence beside this file."""
    folder = Path(__file__).parent
    with tarfile.open(sys.argv[1]) as package:
        texts = {}
        for name in ("package.json", "data/caniemail.json", "LICENSE"):
            file = package.extractfile(f"package/{name}")
            texts[name] = file.read().decode() if file else ""
    made = gather(json.loads(texts["data/caniemail.json"]), json.loads(texts["package.json"])["version"])
    features = made.pop("features").items()
    lines = [f"{json.dumps(slug)}: {json.dumps(told, ensure_ascii=False)}" for slug, told in features]
    head = json.dumps(made, ensure_ascii=False).removesuffix("}")
    (folder / "clients.json").write_text(head + ', "features": {\n' + ",\n".join(lines) + "\n}}\n")
    (folder / "clients.LICENSE").write_text(texts["LICENSE"])


if __name__ == "__main__":
    main()
