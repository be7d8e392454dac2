"""A parsed template as Python code: what python-liquid finds out node by node and for each person again is said once.

    {% if event.total %}Total {{ event.total | money }}{% endif %}

    p0 = value(k5, k6)
    if (p0.__class__ is not Missing and p0 is not False):
        add(k2)
        check()
        k4(k3(p0), context, buffer)

Text, output, links, `if` and `with` become code; all other nodes are called, and what stands between their tags becomes
code of its own. A path is looked up once, at the beginning of the code in which its first name means one thing; only
names that a template sets itself are looked up where they are used.

The code is for what usually happens. Whatever raises, is rendered again by the nodes themselves, which know the places
of errors (liquid_rendering.py). So the nodes say what a template means, and tests hold the code to them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from keyword import iskeyword
from typing import NamedTuple, TextIO

from liquid import BoundTemplate, RenderContext
from liquid.ast import BlockNode, Node
from liquid.builtin.content import ContentNode
from liquid.builtin.expressions.arguments import PositionalArgument
from liquid.builtin.expressions.filtered import Filter, FilteredExpression
from liquid.builtin.expressions.logical import (
    BooleanExpression,
    LogicalAndExpression,
    LogicalOrExpression,
)
from liquid.builtin.expressions.path import Path
from liquid.builtin.expressions.primitive import Literal
from liquid.builtin.tags.if_tag import IfNode
from liquid.exceptions import LiquidInterrupt
from liquid.expression import Expression

from triggerfish.adapters.liquid_rendering import Buffer, Missing, context_of
from triggerfish.adapters.liquid_tags import INSTEAD, Address, Style, With, Written, is_blank
from triggerfish.render import Fixed

_DEEPEST = 60
"""Python takes 100 levels of indentation."""


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
            self.run(ours, buffer, buffer.pieces.append, ours.value, ours.check_time)
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
    try:
        return _Writer(context, names).code(template.nodes) if template.nodes else None
    except (SyntaxError, MemoryError, RecursionError):
        return None


def _set_by(node: Node, context: RenderContext) -> Iterable[str]:
    """The names that a node, or one within it, sets for all that follows."""
    yield from node.template_scope()
    for child in node.children(context):
        yield from _set_by(child, context)


class _Frame(NamedTuple):
    """A stretch of code within which `names` mean one thing (all others, for the whole): the variables of paths, and
    what is to be said to look them up at line `at`.
    """

    names: frozenset[str]
    paths: dict[str, str]
    lookups: list[str]
    at: int
    depth: int


class _Writer:
    """Writes the code of one stretch of nodes."""

    def __init__(self, context: RenderContext, names_set: set[str]) -> None:
        self.context = context
        self.names_set = names_set
        self.known: dict[str, object] = {"Missing": Missing, "is_blank": is_blank}
        self.lines: list[str] = []
        self.depth = 1
        # Of the whole, then of each {% with %} around.
        self.frames: list[_Frame] = []
        self.variables = 0
        self.texts: dict[str, str] = {}

    def code(self, nodes: Sequence[Node]) -> Code:
        self.open(frozenset())
        self.body(nodes)
        self.close()
        source = "\n".join(("def run(context, buffer, add, value, check):", *self.lines, "    return None"))
        # Nothing of the template is in it but names in quotes and keywords that are identifiers.
        exec(compile(source, "<template>", "exec"), self.known)  # noqa: S102
        return Code(nodes, self.known["run"])  # type: ignore[arg-type]

    def say(self, line: str) -> None:
        self.lines.append("    " * self.depth + line)

    def const(self, value: object) -> str:
        name = f"k{len(self.known)}"
        self.known[name] = value
        return name

    def open(self, names: frozenset[str]) -> None:
        self.frames.append(_Frame(names, {}, [], len(self.lines), self.depth))

    def close(self) -> None:
        frame = self.frames.pop()
        self.lines[frame.at : frame.at] = ["    " * frame.depth + line for line in frame.lookups]

    def body(self, nodes: Sequence[Node]) -> None:
        for node in nodes:
            if isinstance(node, ContentNode):
                self.text(node.text)
            elif isinstance(node, Written | Style) and (known := self.known_value(node)) is not None:
                buffer = Buffer(self.context.env.output_stream_limit or 0)
                node.put(known, self.context, buffer)
                self.text(buffer.getvalue())
            elif isinstance(node, Written):
                self.say(f"{self.const(node.put)}({self.expression(node.expression)}, context, buffer)")
            elif isinstance(node, Address) and node.fixed is not None:
                self.say(f"{self.const(node.put)}({self.const(node.fixed)}, context, buffer)")
            elif isinstance(node, Address) and node.value is not None:
                put, render = self.const(node.put), self.const(node.render)
                self.say(f"url = {self.expression(node.value)}")
                self.say("if url.__class__ is str:")
                self.say(f'    {put}(url.strip().replace(" ", "%20"), context, buffer)')
                self.say("else:")
                self.say(f"    {render}(context, buffer)")
            elif isinstance(node, IfNode) and not node.blank and self.depth < _DEEPEST:
                self.choice(node)
            elif isinstance(node, With) and not node.blank:
                paths = self.given(node)
                self.open(frozenset(str(name) for name in node.block_scope()))
                self.frames[-1].paths.update(paths)
                self.body(node.block.nodes)
                self.close()
                self.say("context.scope.pop()")
            else:
                self.blocks(node)
                self.say(f"{self.const(node.render)}(context, buffer)")

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

    def given(self, node: With) -> dict[str, str]:
        """As With.given. Gives the paths of which it is known already what they lead to."""
        known: dict[str, str] = {}
        self.say("given = {}")
        for argument in node.args:
            name = str(argument.name).removesuffix(INSTEAD)
            is_instead = name != argument.name
            if is_instead and known.get(repr([name])) in self.known:
                continue  # it is a text of the template
            value = self.expression(argument.value)
            instead = f"if is_blank(given.get({name!r})): " if is_instead else ""
            self.say(f"{instead}given[{name!r}] = {value}")
            is_path = isinstance(argument.value, Path) and self.is_fixed(argument.value)
            is_text = isinstance(argument.value, Literal) and not is_blank(self.known[value])
            if (is_path or is_text) and not is_instead and name not in self.names_set:
                known[repr([name])] = value
            else:
                known.pop(repr([name]), None)
        self.say("context.scope.push(given)")
        return known

    def known_value(self, node: Written | Style) -> str | None:
        """The text that an output or a style is made of for everybody."""
        expression = node.expression if isinstance(node, Written) else node.value
        if not isinstance(expression, Path | Literal) or (
            isinstance(expression, Path) and not self.is_fixed(expression)
        ):
            return None
        found = self.known.get(self.expression(expression))
        return found if isinstance(found, str) else None

    def choice(self, node: IfNode) -> None:
        ways = [(node.condition, node.consequence), *((each.expression, each.block) for each in node.alternatives)]
        for word, (condition, block) in zip(("if", *("elif",) * len(ways)), ways, strict=False):
            self.say(f"{word} {self.condition(condition)}:")
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

    def condition(self, expression: Expression) -> str:
        """Whether Liquid takes it for true."""
        match expression:
            case BooleanExpression():
                return self.condition(expression.expression)
            case LogicalAndExpression():
                return f"({self.condition(expression.left)} and {self.condition(expression.right)})"
            case LogicalOrExpression():
                return f"({self.condition(expression.left)} or {self.condition(expression.right)})"
            case Path() if self.is_fixed(expression):
                found = self.path(expression)
                return f"({found}.__class__ is not Missing and {found} is not False)"
            case _:
                boolean = BooleanExpression(expression.token, expression)
                return f"{self.const(boolean.evaluate)}(context)"

    def expression(self, expression: Expression) -> str:
        match expression:
            case Literal():
                return self.const(expression.evaluate(self.context))
            case Path() if self.is_fixed(expression):
                return self.path(expression)
            case FilteredExpression() if all(map(self.is_known, expression.filters or ())):
                written = self.expression(expression.left)
                for each in expression.filters or ():
                    given = [
                        ("" if isinstance(arg, PositionalArgument) else f"{arg.name}=") + self.expression(arg.value)
                        for arg in each.args
                    ]
                    function = self.context.env.bare_filters[each.name]  # type: ignore[attr-defined]
                    self.say("check()")
                    written = f"{self.const(function)}({', '.join((written, *given))})"
                return written
            case _:
                return f"{self.const(expression.evaluate)}(context)"

    def is_known(self, filtered: Filter) -> bool:
        return filtered.name in self.context.env.bare_filters and all(  # type: ignore[attr-defined]
            isinstance(arg, PositionalArgument) or (arg.name.isidentifier() and not iskeyword(arg.name))
            for arg in filtered.args
        )

    def is_fixed(self, path: Path) -> bool:
        """Whether a path leads to one and the same as long as the names around it mean the same."""
        return not path.children() and path.path[0] not in self.names_set

    def path(self, path: Path) -> str:
        """The variable that holds what stands at a path."""
        frame = next(each for each in reversed(self.frames) if path.path[0] in each.names or each is self.frames[0])
        written = repr(path.path)
        if written not in frame.paths:
            frame.paths[written] = name = f"p{self.variables}"
            self.variables += 1
            frame.lookups.append(f"{name} = value({self.const(path.path)}, {self.const(path.token)})")
        return frame.paths[written]
