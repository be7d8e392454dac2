"""The reference rulebook's conditions as plain Python functions, for the floor: as somebody would write them by hand
who knows what type everything has and what a missing value has to come to.

`condition(text)` is the source of an expression over `e` (the event's properties), `t` (traits), `s` (segments), `p` (a
floor.Person) and `at` (now, ms).
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Sequence
from typing import Any

DAY = 86_400_000
NAN = float("nan")
"""A missing number: every comparison with it is false."""

ACTIVITY: dict[str, str] = {
    "count(purchase)": "p.bought",
    "count(purchase, '90d')": f"since(p.bought_90d, at - {90 * DAY})",
    "sum(purchase.total, '365d')": "p.total_365d",
    "avg(purchase.total)": "(p.total / p.totals if p.totals else NAN)",
    "last(purchase.total)": "p.total_last",
    "max(purchase.total)": "p.total_max",
    "days_since(purchase)": f"(at - p.bought_at) / {DAY}",
    "count(purchase[total > 50], '30d')": f"since(p.bought_big_30d, at - {30 * DAY})",
    "count(product_viewed, '24h')": f"since(p.viewed_24h, at - {DAY})",
    "count(product_viewed, '7d')": f"since(p.viewed_7d, at - {7 * DAY})",
    "days_since(product_viewed)": f"(at - p.viewed_at) / {DAY}",
    "minutes_since(product_viewed)": "(at - p.viewed_at) / 60000",
    "distinct(product_viewed.category, '7d')": f"different(p.categories_7d, at - {7 * DAY})",
    "score(page, half_life='7d')": f"p.score * 2.0 ** ((p.score_at - at) / {7 * DAY})",
    "minutes_since(page)": "(at - p.paged_at) / 60000",
    "count(add_to_cart, '7d')": f"since(p.added_7d, at - {7 * DAY})",
    "sum(add_to_cart.price, '1d')": f"total(p.prices_1d, at - {DAY})",
    "hours_since(add_to_cart)": "(at - p.added_at) / 3600000",
    "did(checkout_started, '1d')": f"since(p.checkouts_1d, at - {DAY}) > 0",
    "count(search, '1d')": f"since(p.searches_1d, at - {DAY})",
    "sequence(product_viewed, add_to_cart, within='1h')": "p.is_paired",
    "did(refund, '30d')": f"since(p.refunds_30d, at - {30 * DAY}) > 0",
    "local.hour": "(at // 3600000 + p.hours_east) % 24",
}
"""What each function of a person's activity is, here."""

_PLACES = {"event": "e", "traits": "t"}


def function(tests: Sequence[str], names: dict[str, Any]) -> Callable[..., bool]:
    """A function (e, t, s, p, at) that says whether all of the tests hold."""
    source = " and ".join(f"({condition(test)})" for test in tests)
    made: Callable[..., bool] = eval(f"lambda e, t, s, p, at: {source}", {"NAN": NAN, **names})
    return made


def condition(text: str) -> str:
    return ast.unparse(_Plain().visit(ast.parse(text, mode="eval")))


def _plain(text: str) -> ast.expr:
    return ast.parse(text, mode="eval").body


class _Plain(ast.NodeTransformer):
    def visit_Compare(self, node: ast.Compare) -> ast.AST:
        operator, [right] = node.ops[0], node.comparators
        if isinstance(right, ast.Name) and right.id == "segments":
            return ast.Compare(node.left, node.ops, [ast.Name("s")])
        missing = NAN if isinstance(operator, ast.Lt | ast.LtE | ast.Gt | ast.GtE) else None
        if isinstance(operator, ast.NotEq):
            missing = ast.literal_eval(right)
        elif isinstance(operator, ast.NotIn):
            missing = ast.literal_eval(right)[0]
        return ast.Compare(self._value(node.left, missing), node.ops, [right])

    def visit_Call(self, node: ast.Call) -> ast.AST:
        known = ACTIVITY.get(ast.unparse(node))
        if known is not None:
            return _plain(known)
        name, values = ast.unparse(node.func), node.args
        if name == "exists":
            return ast.Compare(self._value(values[0], None), [ast.IsNot()], [ast.Constant(None)])
        text = ast.unparse(self._value(values[0], ""))
        if name == "lower":
            return _plain(f"({text}).lower()")
        if name == "contains":
            return _plain(f"{ast.unparse(values[1])} in {text}")
        if name == "starts_with":
            return _plain(f"({text}).startswith({ast.unparse(values[1])})")
        raise ValueError(f"the floor does not know {ast.unparse(node)}")

    def _value(self, node: ast.expr, missing: Any) -> ast.expr:
        """The source of a value, where a missing one is `missing`."""
        known = ACTIVITY.get(ast.unparse(node))
        if known is not None:
            return _plain(known)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            default = "NAN" if missing is NAN else repr(missing)
            return _plain(f"{_PLACES[node.value.id]}.get({node.attr!r}, {default})")
        if isinstance(node, ast.BinOp):
            return ast.BinOp(self._value(node.left, missing), node.op, self._value(node.right, missing))
        made: ast.expr = self.visit(node)
        return made
