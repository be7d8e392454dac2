"""What must not be printed: keys, and the tables of plugins, which may hold passwords."""

from __future__ import annotations

from typing import Any, NoReturn, Self


class Secret(str):
    """Text that must not reach a log or a page. It compares, hashes and encodes as the text; `reveal` gives the text.

    Its repr is masked. Putting it into other text (`str()`, an f-string) raises TypeError: a mask there could end up
    as a signing key that everybody knows.
    """

    __slots__ = ()
    shortest = 16

    def __new__(cls, text: str) -> Self:
        return super().__new__(cls, str.__str__(text))

    def reveal(self) -> str:
        return str.__str__(self)

    def __repr__(self) -> str:
        return f"{type(self).__name__}('***')"

    def __str__(self) -> NoReturn:
        raise TypeError("a secret is not put into text by itself; call reveal() where it must be readable")

    def __format__(self, spec: str) -> NoReturn:
        self.__str__()


class WriteKey(Secret):
    """What a client shows to send events. It stands in browsers' pages, so it is no great secret."""

    __slots__ = ()
    shortest = 8


class PluginTable(dict[str, Any]):
    """One plugin's table, as written; the plugin decodes it. It may hold passwords, so it shows its keys only."""

    def __repr__(self) -> str:
        return f"PluginTable({', '.join(self)})"
