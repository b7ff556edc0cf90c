"""What a snapshot leaves out whatever git says: dependencies, caches and build output that nobody tracks,
files that hold secrets, and files too large. Pure rules over names.
"""

import re
from collections.abc import Collection
from fnmatch import translate
from functools import lru_cache
from pathlib import Path

from orchestration.workspace.folders import left_by

MAX_FILE_BYTES = 10 * 1024 * 1024

CACHES = frozenset({
    "__pycache__", ".mypy_cache", ".pytest_cache", ".ruff_cache", ".hypothesis", ".tox", ".nox", ".cache",
    ".parcel-cache", ".turbo", ".gradle", ".nyc_output", ".eggs", ".ipynb_checkpoints", ".terraform",
    ".import_linter_cache", ".next", ".nuxt", ".svelte-kit", ".dart_tool", ".sass-cache", ".angular",
})  # fmt: skip
DEPENDENCIES = frozenset(
    {"node_modules", "bower_components", ".venv", "venv", ".bundle", "__pypackages__", ".yarn"}
)
# A common word that is output only beside the file of the tool that makes it.
_OUTPUT_BESIDE = {
    "target": ("Cargo.toml", "pom.xml", "build.sbt"),
    "build": (
        "build.gradle",
        "build.gradle.kts",
        "CMakeLists.txt",
        "setup.py",
        "pyproject.toml",
        "meson.build",
    ),
    "dist": ("package.json", "setup.py", "pyproject.toml"),
    "out": ("tsconfig.json",),
    "coverage": ("package.json",),
    "htmlcov": ("setup.py", "pyproject.toml", "tox.ini"),
    "vendor": ("composer.json", "go.mod", "Gemfile"),
}
_SYSTEM_FILES = frozenset({".DS_Store", "Thumbs.db", "desktop.ini"})
_COMPILED = (".pyc", ".pyo", ".class", ".o", ".obj")
_SECRET_NAMES = frozenset({
    ".env", ".netrc", "_netrc", ".git-credentials", ".pypirc", ".npmrc", ".htpasswd", ".dockercfg", ".pgpass",
    "id_rsa", "id_dsa", "id_ecdsa", "id_ed25519", "credentials.json", "secrets.json", "secrets.yaml", "secrets.yml",
    "secrets.toml", "local.settings.json", "terraform.tfstate", ".vault-token", ".envrc",
})  # fmt: skip
_SECRET_PATTERNS = (
    ".env.*", "*.env", "*.pem", "*.key", "*.p12", "*.pfx", "*.jks", "*.keystore", "*.kdbx", "*.ppk", "*.tfvars",
    "*.asc.key", "service-account*.json", "*_rsa", "*_ed25519",
)  # fmt: skip
_SECRET = re.compile("|".join(translate(pattern) for pattern in _SECRET_PATTERNS))
_EXAMPLES = (".example", ".sample", ".template", ".dist", ".defaults", ".schema")


def folder_reason(name: str, siblings: Collection[str]) -> str | None:
    """Why an untracked folder is left out; "" when that needs no mention (a mere cache); None to take it.
    `siblings` are the names beside it.
    """
    if name in CACHES or name.endswith(".egg-info"):
        return ""
    if name in DEPENDENCIES:
        return "installed dependencies"
    if any(file in siblings for file in _OUTPUT_BESIDE.get(name, ())):
        return "build output or vendored dependencies, not tracked"
    return None


def content_reason(names: Collection[str]) -> str | None:
    """Why an untracked folder is left out by what lies directly in it."""
    if "pyvenv.cfg" in names:
        return "a virtual environment"
    if "CACHEDIR.TAG" in names:
        return ""
    return None


def is_dependency(name: str, folder: Path) -> bool:
    """Whether a folder that is left out is needed to run things: installed packages, not caches."""
    if name in DEPENDENCIES or name == "vendor":
        return True
    return name in {"env", ".env", "virtualenv"} and (folder / "pyvenv.cfg").is_file()


@lru_cache(maxsize=8192)  # asked of every file at every snapshot, and names come again
def file_reason(name: str) -> str | None:
    """Why an untracked file is left out; "" needs no mention; None to take it."""
    if name in _SYSTEM_FILES or name.endswith(_COMPILED) or (name[0] == "." and left_by(name) is not None):
        return ""
    if is_secret(name):
        return "may hold a secret"
    return None


def is_secret(name: str) -> bool:
    lower = name.lower()
    if lower in _SECRET_NAMES:
        return True
    if lower.endswith(_EXAMPLES) or lower.endswith(".pub"):
        return False
    return _SECRET.match(lower) is not None
