"""An experiment is a Chaos Toolkit document whose functions exist; it is read, and nothing that it names is run."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Any

from harness.model.errors import PlanError
from harness.yamlfile import Location, did_you_mean, field_name, line_of, read_yaml

Found = tuple[Location, str, str]  # where, what, hint
_DOTTED = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")
_GIVEN = frozenset({"configuration", "secrets"})  # Chaos Toolkit passes these by itself
_PROVIDERS = ("python", "http", "process")


def experiment_faults(path: Path) -> list[PlanError]:
    """What is wrong with the Chaos Toolkit document at *path*; empty when it can be tried."""
    try:
        document = read_yaml(path)  # JSON is YAML too
    except PlanError as error:
        return [error]
    found = [*_header(document), *_activities(document)]
    return [
        PlanError(message, file=str(path), line=line_of(document, location), field=field_name(location), hint=hint)
        for location, message, hint in found
    ]


def _header(document: Mapping[str, Any]) -> Iterator[Found]:
    for key in ("title", "description"):
        if not isinstance(document.get(key), str) or not document[key].strip():
            yield (key,), "a text is expected here", "Chaos Toolkit needs title, description and method"
    method = document.get("method")
    if not isinstance(method, list) or not any(isinstance(a, Mapping) and a.get("type") == "action" for a in method):
        yield (
            ("method",),
            "a list with at least one action is expected here",
            "an experiment without a fault shows nothing",
        )


def _activities(document: Mapping[str, Any]) -> Iterator[Found]:
    hypothesis = document.get("steady-state-hypothesis")
    if isinstance(hypothesis, Mapping):
        yield from _each(hypothesis.get("probes"), ("steady-state-hypothesis", "probes"))
    yield from _each(document.get("method"), ("method",))
    yield from _each(document.get("rollbacks"), ("rollbacks",))


def _each(activities: Any, place: Location) -> Iterator[Found]:
    for index, activity in enumerate(activities if isinstance(activities, list) else ()):
        at = (*place, index)
        if not isinstance(activity, Mapping):
            yield at, "an activity is expected here", "see the Chaos Toolkit's reference: type, name, provider"
        elif "ref" not in activity:
            yield from _activity(activity, at)


def _activity(activity: Mapping[str, Any], at: Location) -> Iterator[Found]:
    if activity.get("type") not in ("action", "probe"):
        yield (*at, "type"), "`action` or `probe` is expected here", ""
    if not isinstance(activity.get("name"), str):
        yield (*at, "name"), "a name is expected here", ""
    provider = activity.get("provider")
    if not isinstance(provider, Mapping) or provider.get("type") not in _PROVIDERS:
        yield (*at, "provider"), "a provider of type python, http or process is expected here", ""
    elif provider["type"] == "python":
        yield from _python(provider, (*at, "provider"))


def _python(provider: Mapping[str, Any], at: Location) -> Iterator[Found]:
    module, function = provider.get("module"), provider.get("func")
    if not isinstance(module, str) or not _DOTTED.fullmatch(module):
        yield (*at, "module"), "a dotted module name is expected here", "as in harness.chaos.actions.pods"
        return
    if not isinstance(function, str) or not function.isidentifier():
        yield (*at, "func"), "the name of a function is expected here", ""
        return
    source = module_file(module)
    if source is None:
        yield (*at, "module"), f"there is no module {module!r}", _siblings(module)
        return
    try:
        functions = _functions(source)
    except SyntaxError as error:
        yield (*at, "module"), f"{source.name}, line {error.lineno}: not Python: {error.msg}", f"mend {source}"
        return
    if function not in functions:
        yield (
            (*at, "func"),
            f"{module} has no function {function!r}",
            did_you_mean(function, list(functions) or ["none"]),
        )
        return
    yield from _arguments(provider.get("arguments"), functions[function], (*at, "arguments"))


def module_file(module: str) -> Path | None:
    """The source of *module*, found without importing it or its parents; None when there is none."""
    path: list[str] | None = None
    spec = None
    name = ""
    for part in module.split("."):
        name = f"{name}.{part}" if name else part
        spec = PathFinder.find_spec(name, path)
        if spec is None:
            return None
        path = list(spec.submodule_search_locations or ())
    return Path(spec.origin) if spec is not None and spec.origin and spec.origin.endswith(".py") else None


def _siblings(module: str) -> str:
    parent, _, last = module.rpartition(".")
    package = module_file(parent) if parent else None
    names = [p.stem for p in package.parent.glob("[a-z]*.py")] if package else []
    return did_you_mean(last, names) if names else "is the package that has it installed?"


def _functions(source: Path) -> dict[str, ast.FunctionDef | ast.AsyncFunctionDef | None]:
    """The functions at the top of *source*; what it only imports has None for its definition."""
    found: dict[str, ast.FunctionDef | ast.AsyncFunctionDef | None] = {}
    for node in ast.parse(source.read_bytes()).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            found[node.name] = node
        elif isinstance(node, ast.ImportFrom):
            found |= {alias.asname or alias.name: None for alias in node.names}
    return found


def _arguments(given: Any, function: ast.FunctionDef | ast.AsyncFunctionDef | None, at: Location) -> Iterator[Found]:
    if function is None:
        return
    if given is not None and not isinstance(given, Mapping):
        yield at, "a mapping of arguments is expected here", ""
        return
    given = given or {}
    plain = [argument.arg for argument in (*function.args.posonlyargs, *function.args.args)]
    needed = set(plain[: len(plain) - len(function.args.defaults)])
    pairs = zip(function.args.kwonlyargs, function.args.kw_defaults, strict=True)
    needed |= {argument.arg for argument, default in pairs if default is None}
    known = [name for name in (*plain, *(a.arg for a in function.args.kwonlyargs)) if name not in _GIVEN]
    if function.args.kwarg is None:
        for name in given:
            if name not in known:
                yield (
                    (*at, name),
                    f"{function.name} takes no argument {name!r}",
                    did_you_mean(str(name), known or ["none"]),
                )
    for name in sorted(needed - set(given) - _GIVEN):
        yield at, f"{function.name} needs the argument {name!r}", ""
