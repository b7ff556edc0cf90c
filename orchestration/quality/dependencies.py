"""Tells a test that fails for want of an installed dependency from one that fails by itself. Pure.

A module that cannot be imported counts as a missing dependency only if the project declares it and the
tree does not hold it: a module that the task should have written is the task's own failure.
"""

import json
import re

from orchestration.quality.runners.contract import Case
from orchestration.quality.tree_view import TreeView, ancestors, folder_of, join, name_of, stem_of

_PYTHON = re.compile(r"No module named '([\w.]+)'")
_NODE = re.compile(r"Cannot find (?:package|module) '((?:@[\w.-]+/)?[\w-][\w.-]*)")
_DECLARING = re.compile(
    r"^(requirements.*\.(txt|in)|pyproject\.toml|setup\.(cfg|py)|Pipfile|environment\.ya?ml|tox\.ini)$"
)
_OTHER_NAMES = {
    "PIL": "pillow",
    "bs4": "beautifulsoup4",
    "cv2": "opencv",
    "dateutil": "python-dateutil",
    "dotenv": "python-dotenv",
    "sklearn": "scikit-learn",
    "yaml": "pyyaml",
}


def missing_dependency(view: TreeView, case: Case) -> str:
    """The declared dependency whose absence the failure is about; empty if it is about something else."""
    for dotted in _PYTHON.findall(case.output):
        module = str(dotted).split(".")[0]
        if not _is_in_tree(view, module) and _declares_python(view, module):
            return module
    for package in _NODE.findall(case.output):
        if _declares_node(view, case.path, package):
            return str(package)
    return ""


def _is_in_tree(view: TreeView, module: str) -> bool:
    return any(stem_of(path) == module or name_of(folder_of(path)) == module for path in view.paths)


def _declares_python(view: TreeView, module: str) -> bool:
    name = re.escape(_OTHER_NAMES.get(module, module)).replace("_", "[-_]")
    pattern = re.compile(rf"(?<![\w-]){name}(?![\w-])", re.IGNORECASE)
    return any(
        pattern.search(view.text(path)) is not None
        for path in view.paths
        if _DECLARING.match(name_of(path)) or "/requirements/" in f"/{path}"
    )


def _declares_node(view: TreeView, test: str, package: str) -> bool:
    for folder in ancestors(folder_of(test)):
        text = view.text(join(folder, "package.json"))
        try:
            found = json.loads(text) if text else {}
        except json.JSONDecodeError:
            continue
        for key in ("dependencies", "devDependencies", "peerDependencies", "optionalDependencies"):
            declared = found.get(key) if isinstance(found, dict) else None
            if isinstance(declared, dict) and package in declared:
                return True
    return False
