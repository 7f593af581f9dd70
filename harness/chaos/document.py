"""A Chaos Toolkit document as it will be run: the plan's configuration in place of its own, environment resolved."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from harness.model.errors import PlanError
from harness.model.plan import Experiment, Plan
from harness.yamlfile import did_you_mean, line_of, read_yaml

_PATTERN = re.compile(r"\$\{(\w+)\}")
_TYPES: Mapping[str, Callable[[str], Any]] = {"str": str, "int": int, "float": float, "json": json.loads}


def configured(experiment: Experiment, plan: Plan) -> dict[str, Any]:
    """
    The document of *experiment*, plain JSON, with the plan's values in its `configuration`.

    Values that come from the environment are resolved here, so that what was previewed is what runs. Raises PlanError
    for a value that the document does not know, or an environment variable that is not set.
    """
    path = Path(experiment.file)
    document = read_yaml(path)
    declared = document.get("configuration") or {}
    for key in experiment.configuration:
        if key not in declared:
            raise PlanError(
                f"experiment {experiment.name!r} has no configuration {key!r}",
                file=plan.file,
                field=f"experiments.{experiment.name}.configuration.{key}",
                hint=did_you_mean(key, list(declared)) if declared else f"{path} has no `configuration:`",
            )
    values = {
        key: _resolved(key, value, path, document)
        for key, value in declared.items()
        if key not in experiment.configuration
    }
    plain = json.loads(json.dumps({**document, "configuration": {**values, **experiment.configuration}}, default=str))
    return dict(plain)


def substituted(value: Any, configuration: Mapping[str, Any]) -> Any:
    """*value* with `${name}` replaced, as Chaos Toolkit does it: a lone `${name}` keeps the type of what it names."""
    if isinstance(value, Mapping):
        return {key: substituted(each, configuration) for key, each in value.items()}
    if isinstance(value, list):
        return [substituted(each, configuration) for each in value]
    if not isinstance(value, str):
        return value
    alone = _PATTERN.fullmatch(value)
    if alone and alone[1] in configuration:
        return configuration[alone[1]]
    return _PATTERN.sub(lambda found: str(configuration.get(found[1], found[0])), value)


def _resolved(key: str, value: Any, path: Path, document: Any) -> Any:
    if not isinstance(value, Mapping) or value.get("type") != "env":
        return value
    name = str(value.get("key"))
    text = os.environ.get(name, value.get("default"))
    kind = value.get("env_var_type", "str")
    place = ("configuration", key)
    if text is None and "default" not in value:
        raise PlanError(
            f"environment variable {name} is not set, and there is no default",
            file=str(path),
            line=line_of(document, place),
            field=".".join(place),
            hint=f"set it, give a default, or set {key} in the plan's `configuration:`",
        )
    if text is None or kind not in _TYPES or not isinstance(text, str):
        return text
    try:
        return _TYPES[kind](text)
    except ValueError as error:
        raise PlanError(
            f"{name} is {text!r}, which is no {kind}",
            file=str(path),
            line=line_of(document, place),
            field=".".join(place),
        ) from error
