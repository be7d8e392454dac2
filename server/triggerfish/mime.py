"""Room 8, at its back door: a Message becomes the bytes that mail servers carry (RFC 5322, MIME).

Written by hand because the email package takes some ten times as long. Nothing is guessed: values that could break out
of a header are refused, bodies come out of any transfer encoding as they went in.
"""

from __future__ import annotations

import re
from binascii import b2a_base64
from collections.abc import Sequence
from email.utils import formatdate
from functools import lru_cache
from hashlib import sha256
from typing import NamedTuple

from triggerfish.clock import Instant
from triggerfish.errors import Refused
from triggerfish.render import Address, Fixed, Message, mail_address, one_line, safe_header_value

LONGEST_BARE_LINE = 990
"""Characters of a line that goes as it is. RFC 5322, 2.1.1 allows 998; what relays put before it takes some."""

_LONGEST_ENCODED_LINE = 76
_EQUALS = 0x3D

_PHRASE = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~ -]*")
_HEADER_NAME = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,60}")
_ID = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*")
_PRINTABLE = bytes({*range(0x20, 0x7F), 0x09, 0x0A})


def to_mime(message: Message, *, date: Instant, message_id_domain: str) -> bytes:
    """The message as RFC 5322 bytes with CRLF line ends: multipart/alternative, plain text first, then HTML, in UTF-8.

    The same message and date make the same bytes: Message-ID and boundary come from `send_id`. Other letters in headers
    are encoded words (RFC 2047); all bytes are ASCII, lines stay below 998 characters. Raises Refused when a header
    value or an address could not be written safely.
    """
    mark = sha256(message.send_id.encode()).hexdigest()
    local = message.send_id if _ID.fullmatch(message.send_id) and len(message.send_id) <= 64 else mark[:32]
    boundary = f"=_{mark[:30]}"  # "=_" can be in no quoted-printable or base64 line
    lines = [
        f"From: {_written(message.sender)}",
        f"To: {_written(message.to)}",
        *([f"Reply-To: {_written(message.reply_to)}"] if message.reply_to else []),
        f"Subject: {_unstructured(safe_header_value(message.subject), 9)}",
        f"Date: {_date(date // 1_000)}",
        f"Message-ID: <{local}@{_domain(message_id_domain)}>",
        "MIME-Version: 1.0",
    ]
    for name, value in message.headers.items():
        if not _HEADER_NAME.fullmatch(name):
            raise Refused(
                f'"{one_line(name)[:80]}" is no name of a header', code="TF327", expected="letters and hyphens"
            )
        lines.append(f"{name}: {_unstructured(safe_header_value(value), len(name) + 2)}")
    lines.append(f'Content-Type: multipart/alternative; boundary="{boundary}"')
    fence = b"--" + boundary.encode()
    text, html = _part("plain", message.text, fence), _part("html", message.html, fence, message.pieces)
    head = "\r\n".join(lines).encode("ascii")
    return b"\r\n".join((head, b"", fence, text, fence, html, fence + b"--", b""))


@lru_cache(maxsize=4)
def _date(seconds: int) -> str:
    return formatdate(seconds, usegmt=True).replace("GMT", "+0000")


@lru_cache(maxsize=64)
def _domain(text: str) -> str:
    return mail_address(f"x@{text}")[2:]


def _part(kind: str, body: str, fence: bytes, pieces: Sequence[str] = ()) -> bytes:
    quoted = quoted_pieces(pieces) if pieces else None
    encoding, written = transfer_encoded(_octets(body), fence) if quoted is None else ("quoted-printable", quoted)
    head = f'Content-Type: text/{kind}; charset="utf-8"\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n'
    return head.encode() + written


def _octets(text: str) -> bytes:
    content = text.encode("utf-8", "replace")
    return content.replace(b"\r\n", b"\n").replace(b"\r", b"\n") if b"\r" in content else content


class Quoted(NamedTuple):
    """A piece in quoted-printable. Its first and its last line have `first` and `last` characters, both the same when
    it has one line; the last leaves room for a soft break. `octets` is how long it was.
    """

    text: str
    first: int
    last: int
    has_breaks: bool
    octets: int


def quoted_pieces(pieces: Sequence[str]) -> bytes | None:
    """A text in quoted-printable, piece by piece: of those that are Fixed it is known how they are written. Between two
    stands a soft break where the line would become too long. None when base64 is shorter.
    """
    written: list[str] = []
    column = octets = 0
    for piece in pieces:
        if type(piece) is Fixed:
            quoted = piece.kept
            if quoted is None:
                quoted = piece.kept = quoted_piece(piece)
        else:
            length = len(piece)
            if _is_bare(piece):
                if column + length < _LONGEST_ENCODED_LINE:
                    written.append(piece)
                    column += length
                else:
                    column = _write_long(piece, column, written)
                octets += length
                continue
            quoted = quoted_piece(piece)
        text, first, last, has_breaks, size = quoted
        if column and column + first >= _LONGEST_ENCODED_LINE:
            written.append("=\r\n")
            column = 0
        written.append(text)
        column = last if has_breaks else column + first
        octets += size
    found = "".join(written).encode("ascii")
    return found if len(found) <= octets * 4 // 3 + 80 else None


def _write_long(piece: str, column: int, written: list[str]) -> int:
    """Write a bare text that does not fit on its line, as an address; gives the column at its end."""
    if column and column + len(piece) >= _LONGEST_ENCODED_LINE:
        written.append("=\r\n")
    lines = [piece[at : at + _LONGEST_ENCODED_LINE - 1] for at in range(0, len(piece), _LONGEST_ENCODED_LINE - 1)]
    written.append("=\r\n".join(lines))
    return len(lines[-1])


def quoted_piece(text: str) -> Quoted:
    content = _octets(text)
    found = _quoted_printable(content, set(content.translate(None, _PRINTABLE)))
    start = found.rfind(b"\n") + 1
    if len(found) - start == _LONGEST_ENCODED_LINE:
        cut = len(found) - (3 if found[-3] == _EQUALS else 1)
        found = found[:cut] + b"=\r\n" + found[cut:]
        start = cut + 3
    if (half := _HALF_FROM.search(found)) is not None:
        found = found[: half.start()] + b"=46" + found[half.start() + 1 :]
        if len(found) - start >= _LONGEST_ENCODED_LINE:
            found = found[: half.start()] + b"=\r\n" + found[half.start() :]
            start = half.start() + 3
    first = found.find(b"\r\n")
    return Quoted(
        found.decode("ascii"), first if first >= 0 else len(found), len(found) - start, first >= 0, len(content)
    )


_HALF_FROM = re.compile(rb"(?<!=[0-9A-F])F(?:r(?:om?)?)?\Z")
"""What the next piece could make "From " of."""
_HALVES_OF_FROM = ("F", "Fr", "Fro", "From")


def _is_bare(text: str) -> bool:
    """Whether a short text is written in quoted-printable as it is."""
    return (
        text.isascii()
        and text.isprintable()
        and "=" not in text
        and "From " not in text
        and not text.endswith((" ", *_HALVES_OF_FROM))
    )


def transfer_encoded(content: bytes, fence: bytes) -> tuple[str, bytes]:
    """The transfer encoding that suits a text (RFC 2045, section 6), and the text in it, with CRLF line ends.

    `content` has LF line ends. What any relay leaves as it is goes bare ("7bit"): ASCII in lines of bearable length,
    without what some change ("From " at a line's start, blanks at its end) and without `fence`, the boundary's line.
    Else it is quoted-printable, which people and filters can read, or base64 where that is shorter.
    """
    strange = content.translate(None, _PRINTABLE)
    if not strange and fence not in content and _is_left_alone(content):
        return "7bit", content.replace(b"\n", b"\r\n")
    size = len(content) + 2 * (len(strange) + content.count(b"=")) + len(content) // _LONGEST_ENCODED_LINE * 3
    if size > len(content) * 4 // 3 + 80:
        packed = b2a_base64(content.replace(b"\n", b"\r\n"), newline=False)
        return "base64", b"\r\n".join([packed[at : at + 76] for at in range(0, len(packed), 76)])
    return "quoted-printable", _quoted_printable(content, set(strange))


def _is_left_alone(ascii_text: bytes) -> bool:
    return (
        b"From " not in ascii_text
        and b" \n" not in ascii_text
        and b"\t\n" not in ascii_text
        and not ascii_text.endswith((b" ", b"\t"))
        and max(map(len, ascii_text.split(b"\n"))) <= LONGEST_BARE_LINE
    )


def _quoted_printable(content: bytes, strange: set[int]) -> bytes:
    """RFC 2045, section 6.7, by replacing in the whole text, which is quicker than binascii's way, byte by byte.

    `strange` are the bytes that are written as "=C3": few different ones, or base64 would be shorter.
    """
    # Where relays keep mail in one file they write ">From" (RFC 4155), which would break a signature.
    written = content.replace(b"=", b"=3D").replace(b"From ", b"=46rom ")
    for octet in strange:
        written = written.replace(bytes((octet,)), b"=%02X" % octet)
    # A blank at a line's end may get lost.
    written = written.replace(b" \n", b"=20\n").replace(b"\t\n", b"=09\n")
    if written.endswith((b" ", b"\t")):
        written = written[:-1] + b"=%02X" % written[-1]
    lines: list[bytes] = []
    for line in written.split(b"\n"):
        start, last = 0, len(line) - _LONGEST_ENCODED_LINE
        while start < last:
            end = start + _LONGEST_ENCODED_LINE - 1
            # No soft break within "=3D".
            if line[end - 1] == _EQUALS:
                end -= 1
            elif line[end - 2] == _EQUALS:
                end -= 2
            lines.append(line[start:end] + b"=")
            start = end
        lines.append(line[start:] if start else line)
    return b"\r\n".join(lines)


def _written(address: Address) -> str:
    """`Name <local@domain>` for a header, the name as a phrase, a quoted string or encoded words."""
    email, name = mail_address(address.email), safe_header_value(address.name)
    if not name:
        return email
    if not name.isascii() or "=?" in name:
        return f"{_encoded_words(name, 12)} <{email}>"
    if _PHRASE.fullmatch(name):
        return f"{name} <{email}>"
    escaped = name.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}" <{email}>'


def _unstructured(value: str, used: int) -> str:
    """A header's free text; `used` is how many characters its line has already."""
    if not value.isascii() or "=?" in value:
        return _encoded_words(value, used)
    lines, room = [""], 78 - used
    for word in value.split(" "):
        if lines[-1] and len(lines[-1]) + 1 + len(word) > room:
            lines.append(word)
            room = 77
        else:
            lines[-1] += (" " if lines[-1] else "") + word
    return "\r\n ".join(lines)


def _encoded_words(value: str, used: int) -> str:
    """RFC 2047, section 2: words of at most 75 characters, none of which splits a character."""
    words, chunk, room = [], b"", (75 - 12 - used) // 4 * 3
    for letter in value:
        octets = letter.encode()
        if chunk and len(chunk) + len(octets) > room:
            words.append(chunk)
            chunk, room = b"", 45
        chunk += octets
    words.append(chunk)
    return "\r\n ".join(f"=?utf-8?b?{b2a_base64(word, newline=False).decode()}?=" for word in words)
