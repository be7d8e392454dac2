"""Parts of conditions are said as ast.unparse says them."""

from __future__ import annotations

import ast
from random import Random

import pytest

from contracts.language import some_condition
from triggerfish.rulefile.saying import say_node

ODD = (
    """
event.x > -5; -event.x; (1).real; "it's" in event.x; 'a"b' == event.x; event['a b'].c >= 1e400; event.x == u'a'
1 < event.x <= 2; (event.a or event.b) == True; event.x in (1, 2); event.x in {1}; event.x in []; f(*a); f(**a)
count(a[x > 1], '1d'); count(a, window='1d') > 1.50; (a or b).c; f((yield)); x not in ['é', '\u2028']; x is y; not a
f(a)(b); a.b(c); event.x.y.z != 0x10; f(lambda: 1); f(x := 1); [*a]; event.x == (1, 2); b'a'; None; ...; 1j
(a == b) == c; a == (b == c); a + b * c > (a + b) * c; "\\n" == '\\x07'; f(-1) > [f(a, 'b'), -1]; (a, b) == c
""".strip()
    .replace("\n", "; ")
    .split("; ")
)


def same(text: str) -> None:
    for node in ast.walk(ast.parse(text, mode="eval").body):
        if isinstance(node, ast.expr):
            assert say_node(node) == ast.unparse(node)


@pytest.mark.parametrize("text", ODD)
def test_odd_parts_are_said_as_python_says_them(text: str) -> None:
    same(text)


def test_conditions_are_said_as_python_says_them() -> None:
    dice = Random(7)
    for _ in range(300):
        same(some_condition(dice))
