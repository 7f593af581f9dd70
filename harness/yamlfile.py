"""YAML files that people write: read with line numbers, checked against a pydantic model, refused with file, line, field."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import PydanticCustomError
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from harness.model.errors import PlanError

Model = TypeVar("Model", bound=BaseModel)
Location = tuple[str | int, ...]


class Strict(BaseModel):
    """A part of a file in which nothing may stand that nobody reads."""

    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=True)


def refusal(message: str, hint: str) -> PydanticCustomError:
    """What a check of a model raises: the two become a PlanError's."""
    return PydanticCustomError("refused", "{said}", {"said": message, "hint": hint})


def read_yaml(path: Path) -> Any:
    """The file's document, its mappings and lists knowing their lines. PlanError if it is missing or is not YAML."""
    try:
        text = path.read_text()
    except FileNotFoundError as error:
        raise PlanError("there is no such file", file=str(path), hint=_nearby(path)) from error
    except (OSError, UnicodeDecodeError) as error:
        raise PlanError(f"cannot be read: {error}", file=str(path)) from error
    try:
        document = YAML(typ="rt", pure=True).load(text)
    except MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else None
        raise PlanError(f"not YAML: {error.problem}", file=str(path), line=line, hint=_yaml_hint(error)) from error
    except YAMLError as error:
        raise PlanError(f"not YAML: {error}", file=str(path)) from error
    if not isinstance(document, CommentedMap):
        raise PlanError("a mapping of fields is expected here", file=str(path), line=1, hint="begin with `name: …`")
    return document


def check(document: Any, model: type[Model], path: Path) -> Model:
    """*document* as a *model*; one PlanError that names every fault in it, the first one's line and field in front."""
    try:
        return model.model_validate(document)
    except ValidationError as error:
        # A misspelt field is also a missing one; the spelling is what a person can mend.
        items = sorted(error.errors(include_url=False), key=lambda item: item["type"] == "missing")
        faults = [_fault(item, document, model, path) for item in items]
        raise several(faults) from error


def several(faults: Sequence[PlanError]) -> PlanError:
    """One error that says all of *faults*, placed where the first one is."""
    first = faults[0]
    if len(faults) == 1:
        return first
    rest = "\n".join(str(fault) for fault in faults[1:])
    return PlanError(
        first.message,
        file=first.file,
        line=first.line,
        field=first.field,
        hint="\n".join(part for part in (first.hint, f"and {len(faults) - 1} more:\n{rest}") if part),
    )


def line_of(document: Any, location: Location) -> int | None:
    """The 1-based line at which *location* stands in *document*, or its nearest parent that does."""
    line = None
    node = document
    for key in location:
        try:
            if isinstance(node, CommentedMap) and key in node:
                line = node.lc.key(key)[0] + 1
            elif isinstance(node, CommentedSeq) and isinstance(key, int):
                line = node.lc.item(key)[0] + 1
            else:
                return line
            node = node[key]
        except (KeyError, IndexError, TypeError):
            return line
    return line


def field_name(location: Location) -> str:
    """A location as people write it: `load.stages[2].users`."""
    text = ""
    for key in location:
        text += f"[{key}]" if isinstance(key, int) else f".{key}" if text else str(key)
    return text


def did_you_mean(word: str, known: Sequence[str]) -> str:
    """A hint that names the nearest of *known*, or all of them."""
    near = get_close_matches(word, known, n=1)
    return f"did you mean {near[0]!r}?" if near else "known: " + ", ".join(sorted(known))


def _fault(item: Mapping[str, Any], document: Any, model: type[BaseModel], path: Path) -> PlanError:
    location = tuple(key for key in item["loc"] if isinstance(key, int) or not key.startswith("function-"))
    hint = ""
    message = str(item["msg"]).removeprefix("Value error, ")
    if item["type"] == "extra_forbidden":
        message = f"unknown field {location[-1]!r}"
        hint = did_you_mean(str(location[-1]), _fields_at(model, location[:-1]))
    elif item["type"] == "missing":
        message = "this field is missing"
        hint = f"add `{location[-1]}: …`"
    else:
        hint = _hint(item)
        if "input" in item and not isinstance(item["input"], Mapping | list):
            message += f", not {item['input']!r}"
    return PlanError(
        message[0].lower() + message[1:],
        file=str(path),
        line=line_of(document, location),
        field=field_name(location),
        hint=hint,
    )


# What to write instead, by the beginning of pydantic's name for the error; in braces what its context holds.
_INSTEAD = {
    "int_": "write a whole number, without quotes",
    "float_": "write a number, without quotes",
    "finite_number": "write a number that is neither infinite nor .nan",
    "string_type": "write a text; what looks like a number or a date needs quotes around it",
    "string_pattern_mismatch": "it must look like {pattern}",
    "string_too_short": "write a text that is not empty",
    "string_too_long": "write at most {max_length} characters",
    "bool_": "write true or false, without quotes",
    "list_type": "write a list: [a, b], or lines that begin with `- `",
    "too_short": "name at least {min_length}",
    "dict_type": "write a mapping of fields: {{key: value}}, or indented lines",
    "model_": "write a mapping of fields: {{key: value}}, or indented lines",
    "literal_error": "write {expected}",
    "greater_than_equal": "write {ge:g} or more",
    "greater_than": "write more than {gt:g}",
    "less_than_equal": "write {le:g} or less",
    "less_than": "write less than {lt:g}",
}


def _hint(item: Mapping[str, Any]) -> str:
    """What to write instead; a check of our own brings its hint along."""
    context = item.get("ctx") or {}
    given = item.get("input")
    most = context.get("le")
    if isinstance(most, float) and most == 1 and isinstance(given, int | float) and given <= 100:
        return f"write a share between 0 and 1: {given:g} % is {given / 100:g}"
    instead = next((said for kind, said in _INSTEAD.items() if item["type"].startswith(kind)), "{hint}")
    return instead.format_map({"hint": "", **context})


def _fields_at(model: type[BaseModel], location: Location) -> list[str]:
    """The fields that may stand at *location*, as far as plain nesting tells."""
    here: Any = model
    for key in location:
        if isinstance(key, int):
            continue
        annotation = here.model_fields[key].annotation if key in here.model_fields else None
        candidates = [annotation, *getattr(annotation, "__args__", ())]
        here = next((c for c in candidates if isinstance(c, type) and issubclass(c, BaseModel)), here)
    return list(here.model_fields)


def _yaml_hint(error: MarkedYAMLError) -> str:
    if "duplicate key" in str(error.problem):
        return "a field may stand only once; remove one of the two"
    return "check the indentation and the quotes around this line"


def _nearby(path: Path) -> str:
    names = [p.name for p in path.parent.glob("*.y*ml")] if path.parent.is_dir() else []
    return f"in {path.parent} there are: {', '.join(sorted(names))}" if names else f"{path.parent} has no YAML file"
