"""Reading a pickle without running it.

A pickle is a program for a small stack machine, and two of its instructions are "import this" and
"call it": whoever runs a stranger's pickle runs a stranger's code. The machine here knows only the
instructions that put data together. It imports nothing: a name is a word to look up in a table of
stand-ins, and a name that is not in the table ends the reading, before anything else happens.
"""

from __future__ import annotations

import pickletools
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass, field
from typing import Any

Call = Callable[..., Any]

PUSHED = {
    "BININT", "BININT1", "BININT2", "BINFLOAT",
    "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8",
    "BINBYTES", "SHORT_BINBYTES", "BINBYTES8",
}  # fmt: skip
CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False, "EMPTY_TUPLE": ()}
EMPTY: dict[str, Callable[[], Any]] = {"EMPTY_DICT": dict, "EMPTY_LIST": list, "EMPTY_SET": set}
NOTHING = {"PROTO", "FRAME", "STOP"}
LARGEST_VALUE = 10**8
LARGEST_INT_BITS = 256
"""The states of random generators have 128."""
SPARE_BYTES = 2**20
GROWTH = 32
"""Bytes that a pickle may make for each of its own: an empty dict and its entry in the memo."""
KEY_TYPES = (str, int, float, bytes, type(None))
DAMAGE = (ValueError, TypeError, LookupError, AttributeError, OverflowError, RecursionError)


class RefusedPickle(ValueError):
    """The pickle asks for more than data, or is damaged."""


@dataclass(frozen=True, slots=True)
class Name:
    """A function or class that the pickle mentions: nothing but its dotted path."""

    path: str


class StandIn(ABC):
    """What a call of the table may return in place of an object of a foreign class."""

    __slots__ = ()

    @abstractmethod
    def build(self, state: Any) -> None:
        """Take the state that the pickle gives the object. Raises ValueError."""

    @abstractmethod
    def plain(self) -> Any:
        """The data that the object stands for; it may hold further stand-ins."""


@dataclass(frozen=True, slots=True)
class Table:
    """What a pickle may name.

    `calls`: by dotted path, what happens instead of a call. `words`: paths that may be mentioned,
    not called. `persistent`: what a reference to something outside of the pickle becomes.
    """

    calls: Mapping[str, Call]
    words: Container[str]
    persistent: Call


def unpickle(program: bytes, table: Table) -> Any:
    """The data of a pickle of any protocol: dicts, lists, tuples, sets, numbers, strings, bytes,
    and what the table's calls return. Blocks for about a second per megabyte.

    Raises `RefusedPickle`, which names what the pickle wanted.
    """
    machine = _Machine(table, SPARE_BYTES + GROWTH * len(program))
    try:
        for opcode, argument, _ in pickletools.genops(program):
            machine.step(opcode.name, argument)
        (value,) = machine.stack
        return _Plain().of(value)[0]
    except RefusedPickle:
        raise
    except DAMAGE as error:
        raise RefusedPickle(f"is damaged: {error}") from error


@dataclass(slots=True)
class _Machine:
    table: Table
    budget: int
    """How many more bytes it may make, calls included: a short pickle must not fill the memory."""
    stack: list[Any] = field(default_factory=list)
    marked: list[list[Any]] = field(default_factory=list)
    memo: dict[int, Any] = field(default_factory=dict)

    def step(self, name: str, argument: Any) -> None:
        """One instruction."""
        if name in PUSHED:
            self.stack.append(argument)
        elif name in CONSTANTS:
            self.stack.append(CONSTANTS[name])
        elif name in EMPTY:
            self.made(EMPTY[name]())
        elif name in INSTRUCTIONS:
            INSTRUCTIONS[name](self, argument)
        elif name not in NOTHING:
            what = f"{name} {argument}" if isinstance(argument, str) else name
            raise RefusedPickle(f"uses the instruction {what:.100}: refused, no torch file does")

    def made(self, value: Any) -> None:
        """Put a new value on the stack, at the cost of its bytes."""
        self.budget -= sys.getsizeof(value)
        _require(self.budget >= 0, "it makes far more data than it holds")
        self.stack.append(value)

    def integer(self, value: int) -> None:
        """A number of any length: computing with long ones would never end."""
        _require(value.bit_length() <= LARGEST_INT_BITS, f"a number over {LARGEST_INT_BITS} bits")
        self.stack.append(value)

    def name(self, path: str) -> None:
        """Mention a function or class, given as "module name"."""
        path = path.replace(" ", ".", 1).replace("__builtin__.", "builtins.", 1)
        if path not in self.table.calls and path not in self.table.words:
            raise RefusedPickle(
                f"wants to call {path:.100}: refused; checkpoints hold tensors and plain data only"
            )
        self.stack.append(Name(path))

    def name_on_stack(self, _: None) -> None:
        """Mention a function or class whose module and name are on the stack."""
        name, module = self.stack.pop(), self.stack.pop()
        _require(isinstance(name, str) and isinstance(module, str), "a name that is no text")
        self.name(f"{module} {name}")

    def call(self, _: None) -> None:
        """Callee and tuple of arguments -> the result of the stand-in."""
        arguments, callee = self.stack.pop(), self.stack.pop()
        called = isinstance(callee, Name) and callee.path in self.table.calls
        if not called or not isinstance(arguments, tuple):
            what = callee.path if isinstance(callee, Name) else f"a {type(callee).__name__}"
            raise RefusedPickle(f"wants to call {what}: refused, it is no function of a checkpoint")
        self.made(self.table.calls[callee.path](*arguments))

    def build(self, _: None) -> None:
        """Object and state -> the object in that state."""
        state, target = self.stack.pop(), self.stack[-1]
        if isinstance(target, StandIn):
            target.build(state)
        else:  # of an ordered dict: attributes that PyTorch keeps there, such as versions
            _require(type(target) is dict and type(state) is dict, "the state of a plain value")

    def remember(self, index: int | None) -> None:
        """Keep the top of the stack for later mention."""
        self.memo[len(self.memo) if index is None else index] = self.stack[-1]

    def recall(self, index: int) -> None:
        """Mention again what was kept."""
        self.stack.append(self.memo[index])

    def mark(self, _: None) -> None:
        """Begin a group."""
        self.marked.append(self.stack)
        self.stack = []

    def group(self) -> list[Any]:
        """End a group: its elements."""
        group, self.stack = self.stack, self.marked.pop()
        return group

    def pack(self, count: int | None) -> None:
        """The last `count` elements, or the group, as a tuple."""
        elements = self.group() if count is None else self.stack[-count:]
        if count is not None:
            _require(len(elements) == count, "a tuple of too few elements")
            del self.stack[-count:]
        self.stack.append(tuple(elements))

    def extend(self, elements: list[Any]) -> None:
        """Append to the list on the stack."""
        _require(type(self.stack[-1]) is list, "an element of what is no list")
        self.stack[-1].extend(elements)

    def update(self, pairs: list[Any]) -> None:
        """Put keys and values, in turn, into the dict on the stack."""
        _require(type(self.stack[-1]) is dict, "an item of what is no dict")
        self.stack[-1].update(zip(map(key, pairs[::2]), pairs[1::2], strict=True))

    def add(self, elements: list[Any]) -> None:
        """Add to the set on the stack."""
        _require(type(self.stack[-1]) is set, "a member of what is no set")
        self.stack[-1].update(map(key, elements))

    def outside(self, _: None) -> None:
        """A reference to something outside of the pickle."""
        self.stack.append(self.table.persistent(self.stack.pop()))

    def last(self, count: int) -> list[Any]:
        """Take the last elements from the stack."""
        elements = self.stack[-count:]
        del self.stack[-count:]
        return elements


INSTRUCTIONS: dict[str, Callable[[_Machine, Any], None]] = {
    "LONG1": _Machine.integer,
    "LONG4": _Machine.integer,
    "GLOBAL": _Machine.name,
    "STACK_GLOBAL": _Machine.name_on_stack,
    "REDUCE": _Machine.call,
    "NEWOBJ": _Machine.call,
    "BUILD": _Machine.build,
    "BINPERSID": _Machine.outside,
    "BINPUT": _Machine.remember,
    "LONG_BINPUT": _Machine.remember,
    "MEMOIZE": _Machine.remember,
    "BINGET": _Machine.recall,
    "LONG_BINGET": _Machine.recall,
    "MARK": _Machine.mark,
    "TUPLE": lambda machine, _: machine.pack(None),
    "TUPLE1": lambda machine, _: machine.pack(1),
    "TUPLE2": lambda machine, _: machine.pack(2),
    "TUPLE3": lambda machine, _: machine.pack(3),
    "APPEND": lambda machine, _: machine.extend(machine.last(1)),
    "APPENDS": lambda machine, _: machine.extend(machine.group()),
    "SETITEM": lambda machine, _: machine.update(machine.last(2)),
    "SETITEMS": lambda machine, _: machine.update(machine.group()),
    "ADDITEMS": lambda machine, _: machine.add(machine.group()),
}


def key(value: Any) -> Any:
    """The value, if it may be a key: hashing deeply nested tuples would overflow the C stack."""
    _require(isinstance(value, KEY_TYPES), f"a {type(value).__name__} as a key")
    return value


def _require(right: bool, what: str) -> None:
    if not right:
        raise RefusedPickle(f"is damaged: {what}")


class _Plain:
    """Resolves stand-ins and names to data, shared values once.

    Counts what the data would be written out in full: a value may be shared and shared again until
    whoever walks through it never comes to an end.
    """

    def __init__(self) -> None:
        self._done: dict[int, tuple[Any, int]] = {}
        self._open: set[int] = set()

    def of(self, value: Any) -> tuple[Any, int]:
        """The value with every stand-in replaced by the data that it stands for, and its size."""
        if isinstance(value, Name):
            return value.path, 1
        if not isinstance(value, dict | list | tuple | StandIn):
            return value, 1 + (len(value) if isinstance(value, str | bytes) else 0)
        if id(value) not in self._done:
            _require(id(value) not in self._open, "a value that holds itself")
            self._open.add(id(value))
            self._done[id(value)] = self._resolved(value)
            self._open.remove(id(value))
        return self._done[id(value)]

    def _resolved(self, value: Any) -> tuple[Any, int]:
        if isinstance(value, StandIn):
            return self.of(value.plain())
        elements = [*value, *value.values()] if isinstance(value, dict) else value
        plain = [self.of(element) for element in elements]
        size = 1 + sum(size for _, size in plain)
        _require(size <= LARGEST_VALUE, "written out in full it would have no end")
        values = [value for value, _ in plain]
        if isinstance(value, dict):
            return dict(zip(values[: len(value)], values[len(value) :], strict=True)), size
        return type(value)(values), size
