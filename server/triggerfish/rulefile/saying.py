"""Parts of a condition as text. What nearly every condition is made of is put together here, which is several times as
quick as `ast.unparse`; the rest is left to it. Both give the same text.
"""

from __future__ import annotations

import ast

_SIGNS: dict[type[ast.cmpop], str] = {
    ast.Eq: "==", ast.NotEq: "!=", ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=", ast.In: "in",
    ast.NotIn: "not in",
}  # fmt: skip


def say_node(node: ast.AST) -> str:
    """The text of an expression, as `ast.unparse` gives it."""
    said = _said(node)
    if said is not None:
        return said
    if isinstance(node, ast.Compare) and len(node.ops) == 1 and type(node.ops[0]) in _SIGNS:
        left, right = _said(node.left), _said(node.comparators[0])
        if left is not None and right is not None:
            return f"{left} {_SIGNS[type(node.ops[0])]} {right}"
    return ast.unparse(node)


def _said(node: ast.AST) -> str | None:
    """The text of a part that never needs brackets around it; None for another."""
    match node:
        case ast.Name(id=name):
            return name
        case ast.Constant(value=str() | int() as value, kind=None):
            return repr(value)
        case ast.Attribute(value=ast.Name() | ast.Attribute() as inner, attr=name):
            root = _said(inner)
            return None if root is None else f"{root}.{name}"
        case ast.List(elts=elements):
            items = [_said(element) for element in elements]
            return None if None in items else f"[{', '.join(map(str, items))}]"
        case ast.Call(func=ast.Name(id=name), args=arguments, keywords=[]):
            given = [_said(argument) for argument in arguments]
            return None if None in given else f"{name}({', '.join(map(str, given))})"
    return None
