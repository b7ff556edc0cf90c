"""The one guard of paths: what a tool may name, what is protected, and where a write really lands.

Every read, list, search and write by a tool passes `inside`; every write to the user's files passes
`open_folder` in `files.py`, which walks component by component without following links, so that a link
swapped in after the check cannot lead outside. Nothing here reads or writes a file's content.
"""

import os
import re
import unicodedata
from pathlib import Path

from orchestration.errors import PathRefusedError
from orchestration.workspace.links import follow

NAME_BYTES = 255  # the limit of every file system we meet; a longer name could never be written

_SCHEME = re.compile(r"^[A-Za-z][A-Za-z0-9+.-]*:/")
_DRIVE = re.compile(r"^[A-Za-z]:([\\/]|$)")
_SHORT_NAME = re.compile(r"^(git|antiph|vscode|idea|cursor|mcp|agents)~[0-9]+(\.|$)")
# Characters that some file systems drop when they compare names (zero width, direction, variation, tags).
_IGNORED = re.compile(
    "[\u00ad\u034f\u180b-\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufe00-\ufe0f\ufeff\U000e0000-\U000e0fff]"
)

_OWN = "belongs to the tools around the code (version control, editors, agents), not to the code"
_CONTROL = {
    ".git": "holds version control itself",
    ".antiphon": "configures Antiphon",
    ".vscode": "configures the editor",
    ".idea": "configures the editor",
    ".cursor": "configures an agent",
    ".claude": "configures an agent",
    ".codex": "configures an agent",
    ".gemini": "configures an agent",
    ".qwen": "configures an agent",
    ".opencode": "configures an agent",
    "opencode.json": "configures an agent",
    "opencode.jsonc": "configures an agent",
    ".cline": "configures an agent",
    ".goose": "configures an agent",
    ".copilot": "configures an agent",
    ".aider.conf.yml": "configures an agent",
    ".mcp.json": "configures tool servers",
}
_GUIDANCE = {"agents.md", "claude.md", "gemini.md", ".cursorrules", ".windsurfrules", ".clinerules"}
_STARTUP = {
    ".bashrc",
    ".bash_profile",
    ".bash_login",
    ".bash_logout",
    ".profile",
    ".zshrc",
    ".zshenv",
    ".zprofile",
    ".zlogin",
    ".zlogout",
    ".envrc",
    ".inputrc",
    ".direnvrc",
    "config.fish",
}
_GIT_CONFIG = {".gitmodules", ".gitattributes", ".gitconfig"}
_CI_FILES = {
    ".gitlab-ci.yml",
    ".gitlab-ci.yaml",
    ".travis.yml",
    "jenkinsfile",
    "azure-pipelines.yml",
    "azure-pipelines.yaml",
    "bitbucket-pipelines.yml",
    ".drone.yml",
    "appveyor.yml",
    ".appveyor.yml",
    "buildspec.yml",
    "cloudbuild.yaml",
    ".pre-commit-config.yaml",
    "codeowners",
}
_CI_FOLDERS = {
    (".github", "workflows"),
    (".github", "actions"),
    (".circleci",),
    (".ci",),
    (".buildkite",),
    (".gitlab",),
    (".forgejo",),
    (".gitea",),
    (".husky",),
    (".devcontainer",),
}


def canonical_name(name: str) -> str:
    """A name as the laxest file system compares it: no case, no compatibility forms, no ignored
    characters, no trailing dots or blanks, no alternate stream.
    """
    folded = unicodedata.normalize("NFKC", _IGNORED.sub("", name)).casefold()
    folded = unicodedata.normalize("NFKC", folded)
    head, _, _ = folded.partition(":")
    return (head if head.strip() else folded).rstrip(" .")


class PathGuard:
    def __init__(self, root: Path) -> None:
        """`root` is the workspace; nothing a model says widens it."""
        self.root = Path(os.path.realpath(root))
        self._named = Path(os.path.abspath(root))  # noqa: PTH100 - links kept: the root as the user names it

    def inside(self, path: str) -> str:
        """The path relative to the root, with `/` and without `.` and `..`; "" is the root itself.

        An absolute path inside the root is accepted. Raises PathRefusedError, which names the mend.
        Links are not followed here: trees and `resolve` do that.
        """
        if "\0" in path:
            raise PathRefusedError(f"{path!r} holds a NUL character; no file can have that name")
        try:
            path.encode()
        except UnicodeEncodeError:
            raise PathRefusedError(
                f"{path!r} is not valid Unicode; such names are left out of snapshots"
            ) from None
        if _SCHEME.match(path) or path.lower().startswith("file:"):
            raise PathRefusedError(f"{path} is an address, not a path; give a path relative to the workspace")
        if "\\" in path or _DRIVE.match(path):
            raise PathRefusedError(f"{path!r}: write paths with '/', relative to the workspace")
        if path == "~" or path.startswith("~/"):
            raise PathRefusedError(f"{path} is in the home folder; give a path relative to the workspace")
        relative = self._relative(path) if path.startswith("/") else path
        parts: list[str] = []
        for part in relative.split("/"):
            if part in {"", "."}:
                continue
            if part == "..":
                if not parts:
                    raise PathRefusedError(f"{path} leads outside the workspace; give a path inside it")
                parts.pop()
                continue
            self._refuse_disguised(part, path)
            if len(part.encode()) > NAME_BYTES:
                raise PathRefusedError(f"{part[:40]}… is longer than the {NAME_BYTES} bytes a name may have")
            parts.append(part)
        return "/".join(parts)

    def _relative(self, path: str) -> str:
        found = self._within(path)
        if found is None:
            raise PathRefusedError(
                f"{path} is outside the workspace {self._named}; give a path relative to it"
            )
        return found

    def _within(self, path: str) -> str | None:
        for root in (str(self.root), str(self._named)):
            if path == root or path.startswith(root.rstrip("/") + "/"):
                return path[len(root) :].lstrip("/")
        return None

    def _refuse_disguised(self, part: str, path: str) -> None:
        canonical = canonical_name(part)
        if canonical == ".git":
            raise PathRefusedError(f"{path}: version control's own folder is never read or written here")
        if "::" in part and canonical_name(part.rpartition("::")[2]).startswith("$"):
            raise PathRefusedError(f"{path} names an alternate stream; name the file itself")
        if (canonical in _CONTROL and part != canonical) or _SHORT_NAME.match(canonical):
            raise PathRefusedError(f"{path} is another spelling of a protected name; use its exact name")

    def protected(self, relative: str) -> str | None:
        """Why an edit of the path is never applied by itself and is marked in review; None: it is not.
        Creating counts as editing.
        """
        names = [canonical_name(part) for part in relative.split("/") if part]
        if not names:
            return None
        for name in names:
            if name in _CONTROL or _SHORT_NAME.match(name):
                return f"{relative} {_CONTROL.get(name, _OWN)}"
        last = names[-1]
        if last in _GUIDANCE:
            return f"{relative} instructs agents"
        if last in _STARTUP:
            return f"{relative} runs when a shell starts"
        if last in _GIT_CONFIG:
            return f"{relative} configures version control"
        if last in _CI_FILES or any(
            tuple(names[: len(ci)]) == ci and len(names) > len(ci) for ci in _CI_FOLDERS
        ):
            return f"{relative} defines what continuous integration runs"
        return None

    def resolve(self, relative: str) -> str:
        """The path relative to the root with the links on disk followed; parts that do not exist yet stand
        as they are. Raises PathRefusedError for a link that leaves the root or reaches a control folder.
        """
        real = follow(relative, self._link_target, self._within)
        for part in real.split("/"):
            self._refuse_disguised(part, relative)
        return real

    def _link_target(self, relative: str) -> str | None:
        try:
            return os.readlink(self.root / relative)  # noqa: PTH115 - a Path would tidy the target's dots away
        except OSError:
            return None

    def resolve_for_write(self, relative: str) -> Path:
        """Where a write to the user's file really lands. To write, use `WorkspaceFiles`: it opens this place
        without following any link, so that a change after this check is noticed.
        """
        return self.root / self.resolve(relative)
