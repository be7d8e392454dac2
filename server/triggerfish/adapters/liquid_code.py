"""A parsed template as Python code: what python-liquid finds out node by node and for each person again is said once.

    {% if event.total %}Total {{ event.total | money }}{% endif %}

    if (p1.__class__ is not Missing and p1 is not False):
        add(k2)
        w2 = k3(p1)
        if w2.__class__ is str and w2.isprintable(): add(escaped(w2))
        else: k4(w2, context, buffer)

Text, output, links, `if`, `unless`, `with` and most loops become code (what they read: liquid_lines.py); all other
nodes are called, and what stands between their tags becomes code of its own. Names that blocks and loops give are
variables; they are put into the scope only where a node is called that may look for them.

The code is for what usually happens. Whatever raises, is rendered again by the nodes themselves, which know the places
of errors (liquid_rendering.py). So the nodes say what a template means, and tests hold the code to them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TextIO

from liquid import BoundTemplate, RenderContext
from liquid.ast import BlockNode, Node
from liquid.builtin.content import ContentNode
from liquid.builtin.expressions.logical import BooleanExpression
from liquid.builtin.expressions.path import Path
from liquid.builtin.expressions.primitive import IntegerLiteral, Literal, StringLiteral
from liquid.builtin.tags.for_tag import ForNode
from liquid.builtin.tags.if_tag import IfNode
from liquid.builtin.tags.unless_tag import UnlessNode
from liquid.exceptions import LiquidInterrupt

from triggerfish.adapters.liquid_lines import Lines, NamesNeeded
from triggerfish.adapters.liquid_rendering import LIMITS, Buffer, context_of
from triggerfish.adapters.liquid_tags import INSTEAD, Address, For, Style, With, Written, escaped, is_blank
from triggerfish.render import Fixed

_DEEPEST = 60
"""Python takes 100 levels of indentation."""
_GOES_ON = "{% for … offset: continue %}"
"""Stands among the names that a template sets, if a loop of it goes on where another one ended."""


class Code(Node):
    """Nodes and what became of them. Into a buffer that is not ours they write themselves."""

    def __init__(self, nodes: Sequence[Node], run: Callable[..., None]) -> None:
        super().__init__(nodes[0].token)
        self.nodes = nodes
        self.blank = False
        self.run = run

    def render(self, context: RenderContext, buffer: TextIO) -> int:
        ours = context_of(context)
        if ours.by_nodes or type(buffer) is not Buffer:
            for node in self.nodes:
                node.render(context, buffer)
            return 0
        left, start, depth = buffer.left, len(buffer.pieces), context.scope.size()
        try:
            self.run(ours, buffer, buffer.pieces.append, ours.reach)
        except LiquidInterrupt:  # {% break %}
            while context.scope.size() > depth:
                context.scope.pop()
            raise
        finally:
            buffer.count(left, start)
        return 0

    render_to_output = render

    def children(self, static_context: RenderContext, *, include_partials: bool = True) -> Iterable[Node]:
        return self.nodes


def code_of(template: BoundTemplate) -> Code | None:
    """The code of a whole template; the blocks of its nodes get theirs, too. None where there is nothing to write, and
    for what is nested too deeply for Python.
    """
    context = RenderContext(template)
    names = {str(name) for node in template.nodes for name in _set_by(node, context)}
    if any(_goes_on(node, context) for node in template.nodes):
        names.add(_GOES_ON)
    try:
        return _Writer(context, names).code(template.nodes) if template.nodes else None
    except (SyntaxError, MemoryError, RecursionError):
        return None


def _set_by(node: Node, context: RenderContext) -> Iterable[str]:
    """The names that a node, or one within it, sets for all that follows."""
    yield from node.template_scope()
    for child in node.children(context):
        yield from _set_by(child, context)


def _goes_on(node: Node, context: RenderContext) -> bool:
    is_so = isinstance(node, ForNode) and isinstance(node.expression.offset, StringLiteral)
    return is_so or any(_goes_on(child, context) for child in node.children(context))


def _is_nothing(node: Node) -> bool:
    """Whether a choice holds nothing but blanks, which are left out, and asks for nothing that could go wrong."""
    if not isinstance(node, IfNode | UnlessNode) or not node.blank:
        return False
    blocks = [node.consequence, *(each.block for each in node.alternatives), *([node.default] if node.default else [])]
    conditions = [node.condition, *(each.expression for each in node.alternatives)]
    return all(
        isinstance(inner, ContentNode) or _is_nothing(inner) for block in blocks for inner in block.nodes
    ) and all(
        isinstance(each, BooleanExpression) and isinstance(each.expression, Path | Literal) for each in conditions
    )


class _Writer(Lines):
    """Writes the code of one stretch of nodes."""

    def __init__(self, context: RenderContext, names_set: set[str]) -> None:
        super().__init__(context, names_set)
        self.texts: dict[str, str] = {}
        self.known["escaped"] = escaped

    def code(self, nodes: Sequence[Node]) -> Code:
        self.open({})
        self.body(nodes)
        self.close()
        source = "\n".join(
            (
                "def run(context, buffer, add, reach):",
                "    sending = context.sending",
                "    ends, made, link = sending.ends_at, sending.made, sending.link",
                *self.lines,
            )
        )
        # Nothing of the template is in it but names in quotes and keywords that are identifiers.
        exec(compile(source, "<template>", "exec"), self.known)  # noqa: S102
        return Code(nodes, self.known["run"])  # type: ignore[arg-type]

    def body(self, nodes: Sequence[Node]) -> None:
        for node in nodes:
            if isinstance(node, ContentNode):
                self.text(node.text)
            elif isinstance(node, Written | Style) and (known := self.known_value(node)) is not None:
                buffer = Buffer(self.context.env.output_stream_limit or 0)
                node.put(known, self.context, buffer)
                self.text(buffer.getvalue())
            elif isinstance(node, Written):
                self.output(node)
            elif isinstance(node, Address) and (node.fixed is not None or node.value is not None):
                self.address(node)
            elif isinstance(node, Style) and node.value is not None:
                self.say(f"{self.const(node.put_value)}({self.expression(node.value)}, context, buffer)")
            elif isinstance(node, IfNode | UnlessNode) and not node.blank and self.depth < _DEEPEST:
                self.choice(node)
            elif isinstance(node, With) and not node.blank:
                self.given(node)
            elif not _is_nothing(node) and not (isinstance(node, For) and self.loop(node)):
                context = self.by_names()
                self.blocks(node)
                self.say(f"{self.const(node.render)}({context}, buffer)")

    def text(self, text: str) -> None:
        """Add a text that is always the same; what is added right before it is one with it."""
        before = self.lines[-1].strip() if self.lines else ""
        if before in self.texts and self.lines[-1] == "    " * self.depth + before:
            name = self.texts[before]
            self.known[name] = Fixed(f"{self.known[name]}{text}")
        else:
            name = self.const(Fixed(text))
            self.say(f"add({name})")
            self.texts[f"add({name})"] = name

    def output(self, node: Written) -> None:
        found = self.named(self.expression(node.expression))
        put = f"{self.const(node.put)}({found}, context, buffer)"
        if type(node) is not Written:
            self.say(put)
            return
        self.say(f"if {found}.__class__ is str and {found}.isprintable():")
        self.say(f"    add(escaped({found}))" if self.context.autoescape else f"    add({found})")
        self.say("else:")
        self.say(f"    {put}")

    def named(self, expression: str) -> str:
        """A variable with what an expression comes to."""
        if expression.isidentifier():
            return expression
        found = self.variable("w")
        self.say(f"{found} = {expression}")
        return found

    def address(self, node: Address) -> None:
        """One that was written before in this message is at hand."""
        if node.value is not None:
            value = self.named(self.expression(node.value))
            slow = f"{self.const(node.put_value)}({value}, context, buffer)"
        else:
            slow = f"{self.const(node.put)}({self.const(node.fixed)}, context, buffer)"
        if not node.is_link:
            self.say(slow)
            return
        url = self.variable("w") if node.value is not None else self.const(node.fixed)
        written = f"made.get({url}) or link({url}, {self.const(node.token)})"
        add = f"add(escaped({written}))" if self.context.autoescape else f"add({written})"
        if node.value is None:
            self.say(add)
            return
        self.say(f"if {value}.__class__ is str:")
        self.say(f'    {url} = {value}.strip().replace(" ", "%20")')
        self.say(f"    {add}")
        self.say("else:")
        self.say(f"    {slow}")

    def given(self, node: With) -> None:
        """As With.given, in variables. Those are put into the scope if something within looks names up by itself."""
        roots: dict[str, str] = {}
        paths: dict[str, str] = {}
        for argument in node.args:
            name = str(argument.name).removesuffix(INSTEAD)
            is_instead = name != argument.name
            if is_instead and paths.get(repr([name])) in self.known:
                continue  # it is a text of the template
            value = self.expression(argument.value)
            if is_instead and name in roots:
                kept = self.variable("w")
                self.say(f"{kept} = {value} if is_blank({roots[name]}) else {roots[name]}")
                roots[name] = kept
            else:
                roots[name] = self.named(value)
            is_path = isinstance(argument.value, Path) and self.is_fixed(argument.value)
            is_text = isinstance(argument.value, Literal) and not is_blank(self.known[value])
            if (is_path or is_text) and not is_instead and name not in self.names_set:
                paths[repr([name])] = value
            else:
                paths.pop(repr([name]), None)
        at = len(self.lines)
        pushed = ", ".join(f"{name!r}: {root}" for name, root in roots.items())
        frame = self.open(roots)
        frame.paths.update(paths)
        self.body(node.block.nodes)
        self.close()
        if frame.is_named:
            self.lines.insert(at, "    " * self.depth + f"context.scope.push({{{pushed}}})")
            self.say("context.scope.pop()")

    def loop(self, node: For) -> bool:
        """Say a loop, if it holds none, and nothing in it looks names up by itself. Whether it was said."""
        expression = node.expression
        limits = (expression.limit, expression.offset)
        if (
            node.blank
            or node.block.blank
            or (node.default is not None and node.default.blank)
            or expression.reversed
            or not all(each is None or isinstance(each, IntegerLiteral) for each in limits)
            or _GOES_ON in self.names_set
            or self.depth >= _DEEPEST
            or any(frame.loop is not None for frame in self.frames)
        ):
            return False
        lines, depth, frames = self.lines.copy(), self.depth, len(self.frames)
        try:
            self._loop(node)
        except NamesNeeded:
            self.lines, self.depth = lines, depth
            del self.frames[frames:]
            return False
        return True

    def _loop(self, node: For) -> None:
        expression = node.expression
        found = self.named(self.expression(expression.iterable))
        items, item, at, many = (self.variable(letter) for letter in "lvin")
        start = int(expression.offset.value) if isinstance(expression.offset, IntegerLiteral) else 0
        stop = start + int(expression.limit.value) if isinstance(expression.limit, IntegerLiteral) else None
        is_usual = f"{found}.__class__ is list and len({found}) <= {LIMITS.loop_iterations} and not context.loops"
        slow = f"{self.const(node.items)}({found}, context)"
        if start < 0 or (stop is not None and stop <= 0):
            self.say(f"{items} = {slow}")
        else:
            self.say(f"{items} = {found}[{start}:{'' if stop is None else stop}] if {is_usual} else {slow}")
        self.say(f"{many} = len({items})")
        self.say(f"for {at}, {item} in enumerate({items}):")
        self.depth += 1
        self.say("left, start = buffer.left, len(buffer.pieces)")
        self.open({expression.identifier: item, "forloop": "None"}, loop={"i": at, "n": many})
        self.body(node.block.nodes)
        self.close()
        self.say("buffer.count(left, start)")
        self.say_check()
        self.depth -= 1
        if node.default is not None:
            self.say(f"if not {many}:")
            self.block(node.default)

    def known_value(self, node: Written | Style) -> str | None:
        """The text that an output or a style is made of for everybody."""
        expression = node.expression if isinstance(node, Written) else node.value
        if not isinstance(expression, Path | Literal) or (
            isinstance(expression, Path) and not self.is_fixed(expression)
        ):
            return None
        found = self.known.get(self.expression(expression))
        return found if isinstance(found, str) else None

    def choice(self, node: IfNode | UnlessNode) -> None:
        ways = [(node.condition, node.consequence), *((each.expression, each.block) for each in node.alternatives)]
        for word, (condition, block) in zip(("if", *("elif",) * len(ways)), ways, strict=False):
            is_not = "not " if word == "if" and isinstance(node, UnlessNode) else ""
            self.say(f"{word} {is_not}{self.condition(condition)}:")
            self.block(block)
        if node.default:
            self.say("else:")
            self.block(node.default)

    def block(self, block: BlockNode) -> None:
        self.depth += 1
        self.say("pass")
        self.body(block.nodes)
        self.depth -= 1

    def blocks(self, node: Node) -> None:
        """Give the blocks of a node code of their own."""
        for child in node.children(self.context):
            if not isinstance(child, BlockNode):
                self.blocks(child)
            elif child.nodes and not child.blank:
                child.nodes = [_Writer(self.context, self.names_set).code(child.nodes)]
