"""One registry for everything that has a name on the command line, and the options such a thing carries."""

import difflib
import functools
import importlib
import importlib.metadata
import logging
import pkgutil
from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar, Generic, Literal, ParamSpec, TypeVar, cast, get_args, get_origin

from pydantic import BaseModel, ConfigDict, ValidationError

from .errors import UsageError

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
    """A pure function of options and numbers that keeps its last results, by the values of its arguments."""
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


def hint(word: str, known: Iterable[str]) -> str:
    """A question that names the known word nearest to `word`, or a list of all."""
    known = sorted(known)
    near = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    return f"Did you mean {near[0]!r}?" if near else f"There are: {', '.join(known)}."


_BOUNDS = {
    "greater_than": ("gt", "greater than"),
    "greater_than_equal": ("ge", "at least"),
    "less_than": ("lt", "less than"),
    "less_than_equal": ("le", "at most"),
}
_KINDS = {"int": "a whole number", "float": "a number", "bool": "true or false", "string": "a text", "list": "a list"}


def explain(cls: type[BaseModel], error: ValidationError, where: str = "") -> list[str]:
    """One sentence for each mistake in the options given to cls: what, the value, what is allowed.

    Args:
        where: Put before the name of each option, as "train." is for the options of a [train] table.
    """
    return [_sentence(cls, dict(e), where) for e in error.errors()]


def _sentence(cls: type[BaseModel], e: dict[str, Any], where: str) -> str:
    option = where + ".".join(str(part) for part in e["loc"])
    context = e.get("ctx") or {}
    kind = str(e["type"])
    owner = getattr(cls, "name", "") or cls.__name__
    if kind == "extra_forbidden":
        return f"{option} is not an option of {owner}. {hint(str(e['loc'][-1]), cls.model_fields)}"
    if kind == "missing":
        return f"{option} is missing"
    if kind == "value_error":  # a validator of ours, which says it all
        return str(e["msg"]).removeprefix("Value error, ")
    if kind in _BOUNDS:
        key, words = _BOUNDS[kind]
        bound = context[key]
        return f"{option} must be {words} {bound if isinstance(bound, int) else f'{bound:g}'}, got {e['input']}"
    if kind == "literal_error":
        return f"{option} must be one of {context['expected']}, got {e['input']!r}"
    if kind == "finite_number":
        return f"{option} must be a finite number, got {e['input']}"
    for prefix, words in _KINDS.items():
        if kind.startswith(prefix + "_"):
            return f"{option} must be {words}, got {e['input']!r}"
    return f"{option}: {e['msg']}, got {e['input']!r}"


class Registry(Generic[T]):
    """Maps names to option classes, and fills itself.

    A class joins by its decorator, `@solvers("dpm")`. `all()` imports `package` with every module in it, so
    a file dropped there is found; other distributions join through the entry-point group.

    Args:
        kind: What it holds, for messages.
        package: Where its classes are defined.
        group: Name of the entry-point group; that of the package if none is given.
    """

    def __init__(self, kind: str, package: str, group: str = "") -> None:
        self.kind, self.package, self.group = kind, package, group or package
        self._classes: dict[str, type[T]] = {}
        self._plugins_loaded = False

    def __call__(self, name: str) -> Callable[[type[T]], type[T]]:
        """Class decorator that files a class under `name`; a name can be taken only once."""

        def add(cls: type[T]) -> type[T]:
            if name in self._classes:
                taken = self._classes[name]
                raise UsageError(f"the {self.kind} name {name!r} is taken by {taken.__module__}.{taken.__qualname__}")
            cls.name = name
            self._classes[name] = cls
            return cls

        return add

    def all(self) -> dict[str, type[T]]:
        """Every class, by name, in alphabetical order."""
        home = importlib.import_module(self.package)
        for module in pkgutil.iter_modules(getattr(home, "__path__", ())):
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
            raise UsageError(f"no {self.kind} is called {name!r}. {hint(name, classes)}")
        return classes[name]

    def parse(self, value: Any) -> Any:
        """The object written as "name:key=value,key=value", lists as 0.5/0.1, or as a table; all else is passed on.

        Raises:
            UsageError: The text or table does not name one and its options.
        """
        if isinstance(value, Mapping):
            return self.build(value)
        if not isinstance(value, str):
            return value
        name, _, rest = value.partition(":")
        cls = self[name]
        options: dict[str, Any] = {}
        for part in filter(None, rest.split(",")):
            key, equals, text = part.partition("=")
            if not equals:
                raise UsageError(f"the options of a {self.kind} are written as name:key=value, got {value!r}")
            field = cls.model_fields.get(key)
            options[key] = text.split("/") if field and get_origin(field.annotation) is tuple else text
        return cls(**options)

    def build(self, table: Mapping[str, Any]) -> T:
        """The object described by a table whose `name` chooses the class and whose other keys are its options."""
        options = dict(table)
        if "name" not in options:
            raise UsageError(f"the {self.kind} has no name. {hint('', self.all())}")
        return self[str(options.pop("name"))](**options)


def table(options: Options) -> dict[str, Any]:
    """The table that `Registry.build` turns into an equal object."""
    return {"name": options.name, **options.model_dump(mode="json")}


def describe_type(annotation: Any) -> str:
    """An annotation as a user reads it: 'int', 'float or none', "'a' | 'b'"."""
    if get_origin(annotation) is Literal:
        return " | ".join(repr(choice) for choice in get_args(annotation))
    if parts := [p for p in get_args(annotation) if p is not Ellipsis]:
        if get_origin(annotation) is tuple:
            return "list of " + describe_type(parts[0])
        return " or ".join("none" if p is type(None) else describe_type(p) for p in parts)
    return getattr(annotation, "__name__", str(annotation))
