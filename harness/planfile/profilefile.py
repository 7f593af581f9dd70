"""A load profile is Python that compiles and defines Locust users; it is read, never imported or run."""

from __future__ import annotations

import ast
from pathlib import Path

from harness.model.errors import PlanError


def profile_faults(path: Path) -> list[PlanError]:
    """What is wrong with the Locust profile at *path*; empty when it can be tried."""
    try:
        tree = ast.parse(path.read_bytes(), filename=str(path))
    except SyntaxError as error:
        hint = "a load profile is a plain locustfile; try `python -m py_compile` on it"
        return [PlanError(f"not Python: {error.msg}", file=str(path), line=error.lineno, hint=hint)]
    except ValueError as error:
        return [PlanError(f"not Python: {error}", file=str(path), hint="a load profile is a plain locustfile")]
    if not user_classes(tree):
        return [
            PlanError(
                "defines no Locust user",
                file=str(path),
                line=1,
                hint="define a class that derives from locust's FastHttpUser, HttpUser or User and is not abstract",
            )
        ]
    return []


def user_classes(tree: ast.Module) -> list[str]:
    """
    The classes that Locust would find: derived, also by way of others in the file, from a class whose name ends
    in `User`, and not marked `abstract = True`.
    """
    classes = {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}

    def is_user(node: ast.ClassDef, seen: frozenset[str]) -> bool:
        for base in node.bases:
            name = base.attr if isinstance(base, ast.Attribute) else base.id if isinstance(base, ast.Name) else ""
            if name in classes and name not in seen:
                if is_user(classes[name], seen | {name}):
                    return True
            elif name.endswith("User"):
                return True
        return False

    return [name for name, node in classes.items() if not _is_abstract(node) and is_user(node, frozenset({name}))]


def _is_abstract(node: ast.ClassDef) -> bool:
    return any(
        isinstance(line, ast.Assign)
        and isinstance(line.value, ast.Constant)
        and line.value.value is True
        and any(isinstance(target, ast.Name) and target.id == "abstract" for target in line.targets)
        for line in node.body
    )
