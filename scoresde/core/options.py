"""The registry class for everything with a name on the command line, and the base class of options."""

import functools
import importlib
import importlib.metadata
import inspect
import logging
import pkgutil
import textwrap
import warnings
from collections.abc import Callable, Iterator, Mapping
from typing import Any, ClassVar, Literal, ParamSpec, TypeVar, cast, get_args, get_origin

from pydantic import BaseModel, ConfigDict, ValidationError

from .errors import UnknownName, UsageError
from .sentences import an, explain, separated
from .sentences import hint as hint

T = TypeVar("T", bound="Options")
P = ParamSpec("P")
R = TypeVar("R")


class Options(BaseModel):
    """Base of everything that is nothing but its options: frozen, checked, comparable, printable.

    Raises:
        UsageError: An option does not exist or has a value that is not allowed.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
    name: ClassVar[str] = ""

    def __init__(self, /, **values: Any) -> None:
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise UsageError("; ".join(explain(type(self), error))) from None


def remembered(make: Callable[P, R]) -> Callable[P, R]:
    """A pure function of options and numbers that keeps its last results, by the values of its arguments.

    Args:
        make: The function.
    """
    kept = cast(Callable[P, R], functools.lru_cache(maxsize=64)(make))

    @functools.wraps(make)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return kept(*args, **kwargs)
        except TypeError:  # an option that is a list has no hash
            return make(*args, **kwargs)

    return call


class WrittenOptions(Options):
    """Options that are also written as one word, "karras" or "karras:rho=5", as `Registry.parse` reads them."""

    def __str__(self) -> str:
        values = {name: getattr(self, name) for name in type(self).model_fields}
        changed = {name: v for name, v in values.items() if v != type(self).model_fields[name].default}
        texts = (f"{name}={'/'.join(map(str, v)) if isinstance(v, tuple) else v}" for name, v in changed.items())
        return ":".join(filter(None, (self.name, ",".join(texts))))


class Registry(Mapping[str, type[T]]):
    """The option classes of one kind by their names: a mapping in alphabetical order, which fills itself.

    A class joins by its decorator, `@solvers("dpm")`. Whoever asks for all of them has every module of `package`
    imported, so a file dropped there is found; other distributions join through the entry-point group.

    Args:
        kind: What it holds, for messages.
        package: Where its classes are defined.
        group: Name of the entry-point group; that of the package if none is given.

    Example:
        >>> from scoresde.solvers import solvers
        >>> "dpm" in solvers, solvers["dpm"](tol=0.01).order
        (True, 2)
    """

    def __init__(self, kind: str, package: str, group: str = "") -> None:
        self.kind, self.package, self.group = kind, package, group or package
        self._classes: dict[str, type[T]] = {}
        self._plugins_loaded = False

    def __call__(self, name: str) -> Callable[[type[T]], type[T]]:
        """Class decorator that files a class under `name`, which can be taken only once.

        A class that is defined again, as in a notebook cell that runs twice, replaces itself with a warning.

        Args:
            name: The name on the command line.

        Raises:
            UsageError: Another class has that name.
        """

        def add(cls: type[T]) -> type[T]:
            place = f"{cls.__module__}.{cls.__qualname__}"
            if taken := self._classes.get(name):
                if place != (holder := f"{taken.__module__}.{taken.__qualname__}"):
                    raise UsageError(f"the {self.kind} name {name!r} is taken by {holder}")
                warnings.warn(f"the {self.kind} {name!r}, {place}, is defined again: the new one counts", stacklevel=2)
            cls.name = name
            self._classes[name] = cls
            return cls

        return add

    def all(self) -> dict[str, type[T]]:
        """Every class, by name, in alphabetical order."""
        for module in pkgutil.iter_modules(getattr(importlib.import_module(self.package), "__path__", ())):
            importlib.import_module(f"{self.package}.{module.name}")
        if not self._plugins_loaded:
            self._plugins_loaded = True
            for point in importlib.metadata.entry_points(group=self.group):
                try:
                    point.load()
                except Exception as error:  # a stranger's broken plug-in must not take the program down
                    logging.getLogger("scoresde").warning(
                        "skipped the %s plug-in %r of %s: %s", self.kind, point.name, point.value, error
                    )
        return dict(sorted(self._classes.items()))

    def __getitem__(self, name: str) -> type[T]:
        classes = self._classes if name in self._classes else self.all()
        if name not in classes:
            raise UnknownName(f"no {self.kind} is called {name!r}. {hint(str(name), classes)}")
        return classes[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.all())

    def __len__(self) -> int:
        return len(self.all())

    def __eq__(self, other: object) -> bool:
        return self is other

    def __hash__(self) -> int:
        return id(self)

    def __repr__(self) -> str:
        classes = self.all()
        width = max(map(len, classes), default=0)
        first = {name: next(iter((cls.__doc__ or "").splitlines()), "") for name, cls in classes.items()}
        lines = [f"{name:{width}}  {textwrap.shorten(text, 84, placeholder=' ...')}" for name, text in first.items()]
        return "\n".join([f"{self.kind}: {len(classes)} registered", *lines])

    def members(self, room: dict[str, Any]) -> tuple[Callable[[str], type[T]], Callable[[], list[str]]]:
        """`__getattr__` and `__dir__` of a package, by which its classes are imported from it, when asked for.

        Args:
            room: The globals of the package.

        Reference: PEP 562.
        """

        def find(name: str) -> type[T]:
            if name[:1].isupper():  # any other name is that of a module, which is imported without the rest
                for cls in self.all().values():
                    if cls.__name__ == name:
                        return cls
            raise AttributeError(f"module {room['__name__']!r} has no attribute {name!r}")

        return find, lambda: sorted({*room, *(cls.__name__ for cls in self.values())})

    def make(self, value: Any, base: type) -> T:
        """One object, given as itself, as its class, or as `parse` reads it.

        Args:
            value: The object, its class, its text or its table.
            base: What the object has to be.

        Raises:
            UsageError: It is something else, or the text or table does not name one and its options.
        """
        if isinstance(value, type) and issubclass(value, base) and not inspect.isabstract(value):
            value = value()
        found = self.parse(value)
        if not isinstance(found, base):
            raise UsageError(
                f"{an(self.kind)} is a name such as {next(iter(self))!r}, an object or its class, got {value!r}"
            )
        return cast(T, found)

    def parse(self, value: Any) -> Any:
        """The object written as "name:key=value,key=value", lists as 0.5/0.1, or as a table; all else is passed on.

        Args:
            value: The text, the table, or anything else.

        Raises:
            UsageError: The text or table does not name one and its options.
        """
        if not isinstance(value, str):
            return self.build(value) if isinstance(value, Mapping) else value
        name, _, rest = value.partition(":")
        cls = self[name]
        options: dict[str, Any] = {}
        for part in separated(rest, cls.model_fields):
            key, equals, text = part.partition("=")
            if not equals:
                raise UsageError(f"{self.kind} options are written as name:key=value, got {value!r}")
            kind = cls.model_fields[key].annotation if key in cls.model_fields else None
            choices = {str(choice): choice for choice in get_args(kind)} if get_origin(kind) is Literal else {}
            options[key] = text.split("/") if get_origin(kind) is tuple else choices.get(text, text)
        return cls(**options)

    def build(self, table: Mapping[str, Any]) -> T:
        """The object that a table describes.

        Args:
            table: Its `name` chooses the class, its other keys are the options.
        """
        options = dict(table)
        if "name" not in options:
            raise UsageError(f"the {self.kind} has no name. {hint('', self.all())}")
        return self[str(options.pop("name"))](**options)


def table(options: Options) -> dict[str, Any]:
    """The table that `Registry.build` turns into an equal object.

    Args:
        options: The object.
    """
    return {"name": options.name, **options.model_dump(mode="json")}


def describe_type(annotation: Any) -> str:
    """An annotation as a user reads it: 'int', 'float or none', "'a' | 'b'".

    Args:
        annotation: Of a field.
    """
    if get_origin(annotation) is Literal:
        return " | ".join(repr(choice) for choice in get_args(annotation))
    if parts := [p for p in get_args(annotation) if p is not Ellipsis]:
        if get_origin(annotation) is tuple:
            return "list of " + describe_type(parts[0])
        return " or ".join("none" if p is type(None) else describe_type(p) for p in parts)
    return getattr(annotation, "__name__", str(annotation))
