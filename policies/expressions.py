"""Rule expressions: check, price and run one CEL expression. The only module that knows which CEL implementation runs.

A rule is checked three times before it may run: against the types of `FACTS_SCHEMA`, against the functions allowed
here, and against its worst-case cost (`_Cost`). At run time the evaluator's own iteration budget (10,000 a rule) and
linear-time regular expressions (RE2) stand behind the estimate.

The native evaluator keeps no memory budget and compiles counted repetitions into large automata, so this module
refuses what would build text (`a + b`, `replace`, `join`) and prices what reads it. Why a price and not a timer: an
evaluation cannot be interrupted, and a verdict must not depend on how busy the machine was.

Language: https://github.com/google/cel-spec/blob/master/doc/langdef.md
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Literal

from cel_expr_python import cel
from cel_expr_python.ext import ext_math, ext_optional, ext_strings
from google.protobuf import (
    any_pb2,
    descriptor_pb2,
    descriptor_pool,
    message_factory,
    struct_pb2,
)

from policies.facts import FACTS_SCHEMA, Facts
from policies.patterns import BadPattern, compiled, is_found, pattern_states

MAX_SOURCE = 4096
"""Longest rule, in characters."""

COST_LIMIT_NS = 50_000_000
"""Worst-case time one rule may take on one record: half of the promised 100 ms, for machines half as fast."""

SIZE_TIERS = ((64 << 10, 256), (256 << 10, 1024), (1 << 20, 4096))
"""(bytes of text in the largest group, items of the longest list) up to which a rule is judged affordable. It must
afford the first tier to be accepted; a record above what it affords is an error of that rule, never a quiet pass."""

ITERATION_BUDGET = 10_000

Outcome = Literal["triggered", "not_triggered", "error"]

_TRIGGERED: tuple[Outcome, str] = ("triggered", "")
_NOT_TRIGGERED: tuple[Outcome, str] = ("not_triggered", "")

_ERRORS = (
    ("Key not found", "missing_fact"),
    ("no such", "missing_fact"),
    ("divide by zero", "divide_by_zero"),
    ("modulus by zero", "divide_by_zero"),
    ("verflow", "out_of_range"),
    ("out of range", "out_of_range"),
    ("out of bounds", "out_of_range"),
    ("verload", "wrong_type"),
    ("Iteration budget", "iteration_limit"),
    ("regular expression", "bad_pattern"),
)


class RuleError(ValueError):
    """A rule that may not run. `line` and `column` are 1-based within its source."""

    def __init__(self, message: str, line: int = 1, column: int = 1) -> None:
        super().__init__(message)
        self.message, self.line, self.column = message, line, column


@dataclass(frozen=True, slots=True)
class Program:
    """A checked rule. `tier` is the last of `SIZE_TIERS` it affords; `uses` the facts it reads, dotted."""

    source: str
    tier: int
    uses: tuple[str, ...]
    expression: Any = field(repr=False, compare=False)

    def evaluate(self, record: "Record") -> tuple[Outcome, str]:
        """The outcome and, for an error, its code. Never raises."""
        if record.tier > self.tier:
            return "error", "record_too_large"
        try:
            value = self.expression.eval(record.activation)
            found = value.value()
            if found is True:
                return _TRIGGERED
            if found is False:
                return _NOT_TRIGGERED
            return "error", _error_code(str(found)) if value.type() == _ERROR else "not_boolean"
        except Exception as problem:
            # The binding raises RuntimeError for some failures (budget, lone surrogates) where it returns others.
            return "error", _error_code(str(problem))


class Record:
    """One decision's facts, bound once and shared by every rule that judges it."""

    __slots__ = ("activation", "facts", "tier")

    def __init__(self, facts: Facts) -> None:
        self.facts = facts
        self.tier = _tier(facts["record"])
        self.activation = _runtime().Activation(facts)


@lru_cache(maxsize=8192)
def compile_source(source: str) -> Program:
    """Check and compile one CEL expression over the facts; it must be a bool. Raises RuleError."""
    if len(source) > MAX_SOURCE:
        raise RuleError(f"a rule may have at most {MAX_SOURCE} characters; this one has {len(source)}")
    if "\0" in source or not _is_utf8(source):
        raise RuleError("a rule must be valid UTF-8 text without NUL characters")
    try:
        checked = _checker().compile(source)
    except Exception as problem:
        raise _rule_error(str(problem)) from None
    if checked.return_type() != _BOOL:
        raise RuleError(f"a rule must be true or false; this expression is {checked.return_type().name().lower()}")
    tier, uses = _afforded_tier(_tree(checked))
    try:
        return Program(source, tier, uses, _runnable(source))
    except Exception as problem:
        raise _rule_error(str(problem)) from None


def compile_any(programs: Sequence[Program]) -> Program | None:
    """Whether any of the checked rules is true, as one program; None where that would say less than each for itself.

    CEL's `||` is true if one side is, false if both are, and an error otherwise: false leaves no error unseen.
    """
    if len(programs) < 2:
        return None
    source = " || ".join(f"({program.source})" for program in programs)
    try:
        expression = _runnable(source)
    except Exception:
        return None
    uses = sorted({name for program in programs for name in program.uses})
    return Program(source, min(program.tier for program in programs), tuple(uses), expression)


def _tree(checked: Any) -> Any:
    """The syntax tree of a checked expression, with types and resolved overloads."""
    return _checked_expr().FromString(any_pb2.Any.FromString(checked.serialize()).value)


def _runnable(source: str) -> Any:
    """The expression as it runs: where it matches a pattern, by ours, which is compiled once.

    The evaluator compiles a pattern anew for every match, which takes ten times as long as the match. Its own
    `matches` cannot be replaced, so the calls are renamed in the syntax tree.
    """
    runnable = _runtime().compile(source)
    if "matches" not in source:
        return runnable
    packed = any_pb2.Any.FromString(runnable.serialize())
    tree = _checked_expr().FromString(packed.value)
    renamed = set(_rename_matches(tree.expr))
    for entry in tree.reference_map:
        if entry.key in renamed:
            entry.value.overload_id[:] = [_MATCHES]
    packed.value = tree.SerializeToString()
    return _runtime().deserialize(packed.SerializeToString())


def _rename_matches(message: Any) -> Iterator[int]:
    """Rename the calls in place; yields the ids of their nodes."""
    if message.DESCRIPTOR.name == "Expr" and message.call.function == "matches" and message.call.HasField("target"):
        message.call.function = _MATCHES
        yield message.id
    for declared, value in message.ListFields():
        if declared.message_type is not None:
            for inner in value if isinstance(value, Sequence) else [value]:
                yield from _rename_matches(inner)


def _afforded_tier(tree: Any) -> tuple[int, tuple[str, ...]]:
    afforded, uses = -1, set[str]()
    for tier, (size, items) in enumerate(SIZE_TIERS):
        cost = _Cost(tree, size, items)
        cost.estimate(tree.expr, 1.0, {})
        uses = cost.uses
        if cost.ns > COST_LIMIT_NS:
            break
        afforded = tier
    if afforded < 0:
        raise RuleError(
            f"this rule could take {cost.ns / 1e6:,.0f} ms on a record of {SIZE_TIERS[0][0] >> 10} KiB "
            f"(limit {COST_LIMIT_NS / 1e6:.0f}): use fewer nested loops or smaller counted repetitions"
        )
    return afforded, tuple(sorted(uses))


def _tier(record: Mapping[str, int]) -> int:
    for tier, (size, items) in enumerate(SIZE_TIERS):
        if record["bytes"] <= size and record["items"] <= items:
            return tier
    return len(SIZE_TIERS)


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _error_code(text: str) -> str:
    for mark, code in _ERRORS:
        if mark in text:
            return code
    return "bad_value"


def _rule_error(text: str) -> RuleError:
    match = re.search(r"<input>:(\d+):(\d+): (.*)", text)
    if match is None:
        return RuleError(text.partition("\n")[0][:300])
    message = match[3].replace(" (in container '')", "").split(" expecting {")[0]
    if "'(double, int)'" in message or "'(int, double)'" in message:
        message += "; write the number with a decimal point, as 1.0"
    return RuleError(message, int(match[1]), int(match[2]))


# Environments. Rules are checked against messages, which have fields and types, and run over plain dicts, which need
# no conversion by us: the same expression, compiled twice.

_BOOL, _ERROR = cel.Type.BOOL, cel.Type.ERROR
_MATCHES = "matches_compiled_once"  # the checker knows no such function: no rule can call it by this name
_FIELD = descriptor_pb2.FieldDescriptorProto
_SCALARS = {
    "string": _FIELD.TYPE_STRING,
    "bool": _FIELD.TYPE_BOOL,
    "int": _FIELD.TYPE_INT64,
    "double": _FIELD.TYPE_DOUBLE,
}
_FREE = {"dyn": ".google.protobuf.Value", "map(string, dyn)": ".google.protobuf.Struct"}


def _extensions() -> list[Any]:
    return [ext_strings.ExtStrings(), ext_optional.ExtOptional(), ext_math.ExtMath()]


@lru_cache(maxsize=1)
def _runtime() -> Any:
    """Environment the rules run in: groups are maps of anything."""
    kinds = {"string": cel.Type.STRING}
    group, rows = cel.Type.Map(cel.Type.STRING, cel.Type.DYN), cel.Type.List(cel.Type.DYN)
    variables = {fact.name.split(".")[0]: group for fact in FACTS_SCHEMA if "[]" not in fact.name.split(".")[0]}
    for fact in FACTS_SCHEMA:
        if "." not in fact.name:
            variables[fact.name] = rows if fact.type.startswith("list") else kinds.get(fact.type, group)
    text = cel.Type.STRING
    found = cel.Overload(_MATCHES, cel.Type.BOOL, [text, text], is_member=True, impl=is_found)
    functions = [cel.FunctionDecl(_MATCHES, [found])]
    return cel.NewEnv(variables=variables, extensions=_extensions(), functions=functions)


@lru_cache(maxsize=1)
def _checker() -> Any:
    """Environment the rules are checked in: every group is a message built from `FACTS_SCHEMA`."""
    file = descriptor_pb2.FileDescriptorProto(name="facts.proto", package="facts", syntax="proto3")
    file.dependency.append("google/protobuf/struct.proto")
    messages: dict[str, Any] = {}
    variables: dict[str, Any] = {}
    for fact in FACTS_SCHEMA:
        owner, _, name = fact.name.rpartition(".")
        if owner:
            _declare_field(file, messages, owner, name, fact.type)
        elif fact.type in _SCALARS:
            variables[name] = cel.Type.STRING
        elif fact.type in _FREE:
            variables[name] = cel.Type.Map(cel.Type.STRING, cel.Type.DYN)
        else:
            variables[name] = cel.Type.List(cel.Type(f"facts.{_message_name(name + '[]')}"))
    pool = descriptor_pool.DescriptorPool()
    struct = descriptor_pb2.FileDescriptorProto()
    struct_pb2.DESCRIPTOR.CopyToProto(struct)
    pool.Add(struct)
    pool.Add(file)
    groups = {
        path: cel.Type(f"facts.{_message_name(path)}") for path in messages if "." not in path and "[" not in path
    }
    return cel.NewEnv(pool, variables=variables | groups, extensions=_extensions())


def _message_name(path: str) -> str:
    """`model.prompt` → `Model_Prompt`, `outcome.reasons[]` → `Outcome_Reasons_Item`."""
    return "_".join(part.title() for part in path.replace("[]", ".item").split("."))


def _declare_field(file: Any, messages: dict[str, Any], owner: str, name: str, kind: str) -> None:
    if owner not in messages:
        messages[owner] = file.message_type.add(name=_message_name(owner))
        parent, _, inner = owner.rpartition(".")
        if parent and not owner.endswith("[]"):
            _declare_field(file, messages, parent, inner, f"message {owner}")
    message = messages[owner]
    label = _FIELD.LABEL_REPEATED if kind.startswith("list") else _FIELD.LABEL_OPTIONAL
    added = message.field.add(name=name, number=len(message.field) + 1, label=label)
    element = kind.removeprefix("list(").removesuffix(")") if kind.startswith("list") else kind
    if element in _SCALARS:
        added.type = _SCALARS[element]
        return
    added.type = _FIELD.TYPE_MESSAGE
    inner = f"{owner}.{name}[]" if kind.startswith("list") else f"{owner}.{name}"
    added.type_name = _FREE.get(element) or f".facts.{_message_name(inner)}"


# The checked expression, as far as the cost estimate reads it: field numbers of cel.expr.CheckedExpr
# (https://github.com/google/cel-spec/blob/master/proto/cel/expr/checked.proto). A trailing * repeats a field.
_CHECKED_EXPR = {
    "Const": "string_value:6:string",
    "Ident": "name:1:string",
    "Select": "operand:1:Expr field:2:string",
    "Call": "target:1:Expr function:2:string args:3:Expr*",
    "List": "elements:1:Expr*",
    "Struct": "message_name:1:string",
    "Fold": "iter_var:1:string iter_range:2:Expr accu_var:3:string accu_init:4:Expr loop_step:6:Expr",
    "Expr": "id:2:int const_expr:3:Const ident:4:Ident select:5:Select call:6:Call list:7:List struct:8:Struct "
    "fold:9:Fold",
    "Reference": "overload_id:3:string*",
    "ReferenceEntry": "key:1:int value:2:Reference",
    "Type": "primitive:3:int",
    "TypeEntry": "key:1:int value:2:Type",
    "CheckedExpr": "reference_map:2:ReferenceEntry* type_map:3:TypeEntry* expr:4:Expr",
}


@lru_cache(maxsize=1)
def _checked_expr() -> Any:
    file = descriptor_pb2.FileDescriptorProto(name="checked.proto", package="checked", syntax="proto3")
    for name, fields in _CHECKED_EXPR.items():
        message = file.message_type.add(name=name)
        for spec in fields.split():
            field_name, number, kind = spec.removesuffix("*").split(":")
            label = _FIELD.LABEL_REPEATED if spec.endswith("*") else _FIELD.LABEL_OPTIONAL
            added = message.field.add(name=field_name, number=int(number), label=label)
            added.type = _SCALARS.get(kind, _FIELD.TYPE_MESSAGE)
            if kind not in _SCALARS:
                added.type_name = f".checked.{kind}"
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("checked.CheckedExpr"))


# Worst-case cost. Each constant is what we measured, rounded up.

Bound = tuple[float, float]
Scope = dict[str, Bound]

_NODE_NS, _STEP_NS, _ITEM_NS, _CALL_NS = 40, 80, 20, 400
_APPEND_NS = 40
"""map() and filter() copy the list for each item they append."""
_COMPILE_NS = 800
"""A state of a pattern, while it is compiled."""
_STRING = 5
_NUMERIC_SUM = re.compile(r"(add|subtract)_(int64|uint64|double|duration.*|timestamp.*)$")
_FREE_CALL_NAMES = """
    _&&_ _||_ !_ _?_:_ @not_strictly_false _<_ _<=_ _>_ _>=_ _-_ _*_ _/_ _%_ -_ _[_] _[?_] _?._
    or orValue hasValue value optional.none optional.of int double string timestamp duration
    getFullYear getMonth getDate getDayOfMonth getDayOfWeek getDayOfYear
    getHours getMinutes getSeconds getMilliseconds
    math.@max math.@min math.abs math.ceil math.floor math.round math.sign math.trunc
"""
_FREE_CALLS = frozenset(_FREE_CALL_NAMES.split())
_SCANS = ("size", "lowerAscii", "upperAscii", "trim", "charAt", "substring", "reverse")
_NEEDLES = ("contains", "startsWith", "endsWith", "indexOf", "lastIndexOf")
_KEYED = ("_?._", "_[_]", "_[?_]")
_SCALAR_SIZE = 8


class _Cost:
    """Upper bound on one evaluation over a record of `size` bytes and lists of `items`: `ns`, and the facts in `uses`.

    An estimate is (bytes, items) of an expression's value. A loop over a list splits the list's bytes over its items,
    so that scanning every item costs one scan of the whole. Refuses, with RuleError, what the bound could not hold for.
    """

    def __init__(self, tree: Any, size: int, items: int) -> None:
        self.size, self.items = float(size), float(items)
        self.types = {entry.key: entry.value.primitive for entry in tree.type_map}
        self.overloads = {entry.key: tuple(entry.value.overload_id) for entry in tree.reference_map}
        self.ns = 0.0
        self.uses: set[str] = set()

    def estimate(self, node: Any, times: float, scope: Scope) -> Bound:
        self.ns += _NODE_NS * times
        kind = next((name for name in ("select", "call", "list", "fold", "ident", "struct") if node.HasField(name)), "")
        if not kind:
            return max(float(len(node.const_expr.string_value)), _SCALAR_SIZE), 0.0
        size, items = getattr(self, f"_{kind}")(node, times, scope)
        primitive = self.types.get(node.id, 0)
        return (_SCALAR_SIZE, 0.0) if primitive and primitive != _STRING else (size, items)

    def _ident(self, node: Any, times: float, scope: Scope) -> Bound:
        if node.ident.name not in scope:
            self.uses.add(node.ident.name)
        return scope.get(node.ident.name, (self.size, self.items))

    def _select(self, node: Any, times: float, scope: Scope) -> Bound:
        path, root = [node.select.field], node.select.operand
        while root.HasField("select"):
            path.append(root.select.field)
            root = root.select.operand
        if root.HasField("ident") and root.ident.name not in scope:
            self.uses.add(".".join([root.ident.name, *reversed(path)]))
            return self.size, self.items
        return self.estimate(root, times, scope)

    def _list(self, node: Any, times: float, scope: Scope) -> Bound:
        for element in node.list.elements:
            if not self.types.get(element.id) and not element.HasField("const_expr"):
                raise RuleError("a list written in a rule may hold only texts, numbers and true or false")
        return self._sum(node.list.elements, times, scope), float(len(node.list.elements))

    def _struct(self, node: Any, times: float, scope: Scope) -> Bound:
        raise RuleError("a rule may not build maps or objects")

    def _sum(self, nodes: Iterable[Any], times: float, scope: Scope) -> float:
        return sum(self.estimate(node, times, scope)[0] for node in nodes)

    def _fold(self, node: Any, times: float, scope: Scope) -> Bound:
        fold = node.fold
        size, items = self.estimate(fold.iter_range, times, scope)
        rounds = max(min(times * max(items, 1.0), ITERATION_BUDGET), 1.0)
        self.ns += _STEP_NS * rounds
        inner = scope | {fold.iter_var: (size * times / rounds, items), fold.accu_var: (0.0, 0.0)}
        step = self._built(fold)
        self.ns += _APPEND_NS * rounds * items * (step is not None)
        if step is not None and not self.types.get(step.id) and step.ident.name != fold.iter_var:
            raise RuleError("map() may produce only texts, numbers and true or false; name the field you need")
        element, _ = self.estimate(fold.loop_step, rounds, inner)
        return max(element * max(items, 1.0), size if step is not None else 0.0), items

    def _built(self, fold: Any) -> Any:
        """The element that map() or filter() appends, or None in a loop that only asks."""
        step = fold.loop_step
        if step.call.function == "_?_:_":
            step = step.call.args[1]
        appended = step.call.args[1] if step.call.function == "_+_" else None
        return appended.list.elements[0] if appended is not None and appended.HasField("list") else None

    def _call(self, node: Any, times: float, scope: Scope) -> Bound:
        call = node.call
        operands = [call.target, *call.args] if call.HasField("target") else list(call.args)
        if call.function == "_+_" and operands[0].ident.name == "@result":
            appended = operands[1].list.elements
            return self.estimate(appended[0] if appended else operands[1], times, scope)
        if call.function in _KEYED and self._uses_key(operands, scope):
            return self.size, self.items
        bounds = [self.estimate(operand, times, scope) for operand in operands]
        self.ns += times * self._call_ns(node, operands, bounds)
        return max((size for size, _ in bounds), default=0.0), max((items for _, items in bounds), default=0.0)

    def _uses_key(self, operands: Sequence[Any], scope: Scope) -> bool:
        """Note a fact read as `group.?name` or `group["name"]`; false when it is something else."""
        name, key = operands[0].ident.name, operands[1].const_expr.string_value
        if not name or name in scope or not key:
            return False
        self.uses.add(f"{name}.{key}")
        return True

    def _call_ns(self, node: Any, operands: Sequence[Any], bounds: Sequence[Bound]) -> float:
        name = node.call.function
        sizes = [size for size, _ in bounds]
        if name == "matches":
            return _match_ns(operands[1].const_expr.string_value, sizes[0])
        if name in _NEEDLES:
            needle = min(sizes[1], MAX_SOURCE) if operands[1].HasField("const_expr") else sizes[1]
            return _CALL_NS + sizes[0] * (1 + needle / 128)
        if name in _SCANS:
            return _CALL_NS + sizes[0]
        if name in ("_==_", "_!=_"):
            return _CALL_NS + min(sizes)
        if name == "@in":
            return _CALL_NS + sizes[1] + _ITEM_NS * bounds[1][1]
        if name == "_+_":
            if not all(_NUMERIC_SUM.match(overload) for overload in self.overloads.get(node.id, ())):
                raise RuleError("+ adds numbers and times only; test texts and lists one by one")
        elif name not in _FREE_CALLS:
            raise RuleError(f"the function {name.strip('@_')} is not available in rules")
        return _CALL_NS


def _match_ns(pattern: str, size: float) -> float:
    """Time of one match, the pattern compiled for it: it may have fallen out of the cache."""
    if not pattern:
        raise RuleError("the pattern of matches() must be written out in the rule")
    try:
        compiled(pattern)
    except BadPattern as problem:
        raise RuleError(f"bad pattern: {problem}") from None
    states = pattern_states(pattern)
    return _COMPILE_NS * states + size * (4 + states)
