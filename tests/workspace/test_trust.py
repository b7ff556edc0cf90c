"""Trust: for a real path and for the files that decide what runs, and for nothing else."""

import subprocess
from pathlib import Path

import pytest

from orchestration.errors import ConfigurationError
from orchestration.workspace.trust import TrustStore


@pytest.fixture
def root(tmp_path: Path) -> Path:
    place = tmp_path / "work"
    place.mkdir()
    return place


@pytest.fixture
def trust(tmp_path: Path) -> TrustStore:
    return TrustStore(tmp_path / "data")


def test_nothing_is_trusted_before_it_is_granted(trust: TrustStore, root: Path, tmp_path: Path) -> None:
    assert not trust.is_trusted(root)
    trust.grant(root, now=1_700_000_000)
    assert trust.is_trusted(root)
    assert not trust.is_trusted(tmp_path)
    (root / "sub").mkdir()
    assert not trust.is_trusted(root / "sub")
    assert TrustStore(tmp_path / "data").is_trusted(root)
    assert [(item.root, item.at, item.holds) for item in trust.list()] == [
        (str(root.resolve()), 1_700_000_000, True)
    ]
    assert trust.revoke(root)
    assert not trust.is_trusted(root)
    assert not trust.revoke(root)
    assert trust.list() == ()


@pytest.mark.parametrize(
    "path",
    [
        ".antiphon/config.toml",
        ".mcp.json",
        ".antiphon/roles/x.md",
        ".Cursor/MCP.json",
        ".vscode/mcp.json",
        ".claude/settings.json",
    ],
)
def test_incident_4_a_change_of_a_deciding_file_asks_again(trust: TrustStore, root: Path, path: str) -> None:
    place = root / path
    for step in ("appears", "changes", "goes"):
        trust.grant(root, now=0)
        assert trust.is_trusted(root)
        if step == "goes":
            place.unlink()
        else:
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(step)
        assert not trust.is_trusted(root)
        assert [item.holds for item in trust.list()] == [False]


def test_ordinary_changes_keep_the_grant(trust: TrustStore, root: Path) -> None:
    trust.grant(root, now=0)
    (root / "a.py").write_text("")
    (root / "sub/.vscode").mkdir(parents=True)
    (root / "sub/.vscode/mcp.json").write_text("")
    (root / ".idea").mkdir()
    (root / ".idea/workspace.xml").write_text("")
    (root / ".vscode").mkdir()
    (root / ".vscode/settings.json").write_text("")
    assert trust.is_trusted(root)


def test_incident_10_a_spoofed_worktree_is_another_path(
    trust: TrustStore, root: Path, tmp_path: Path
) -> None:
    subprocess.run(["git", "init", "-q", root], check=True)
    trust.grant(root, now=0)
    spoof = tmp_path / "spoof"
    (spoof / ".git").mkdir(parents=True)
    (spoof / ".git/commondir").write_text(f"{root}/.git\n")
    (spoof / ".git/gitdir").write_text(f"{root}/.git\n")
    assert not trust.is_trusted(spoof)


def test_the_real_path_counts(trust: TrustStore, root: Path, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(root)
    trust.grant(link, now=0)
    assert trust.is_trusted(root)
    other = tmp_path / "other"
    other.mkdir()
    link.unlink()
    link.symlink_to(other)
    assert not trust.is_trusted(link)


def test_a_link_among_the_deciding_files_counts_as_itself(
    trust: TrustStore, root: Path, tmp_path: Path
) -> None:
    (tmp_path / "a").mkdir()
    (root / ".vscode").symlink_to(tmp_path / "a")
    trust.grant(root, now=0)
    (root / ".vscode").unlink()
    (root / ".vscode").symlink_to(tmp_path)
    assert not trust.is_trusted(root)


def test_the_store_is_the_users_alone(trust: TrustStore, root: Path, tmp_path: Path) -> None:
    trust.grant(root, now=0)
    store = tmp_path / "data/trust.json"
    assert store.stat().st_mode & 0o777 == 0o600
    store.chmod(0o666)
    assert not trust.is_trusted(root)
    store.chmod(0o600)
    assert trust.is_trusted(root)
    store.write_text("{ damaged")
    assert not trust.is_trusted(root)


def test_what_cannot_be_read_or_written_is_named(trust: TrustStore, root: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot be read"):
        trust.grant(tmp_path / "none", now=0)
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError, match="cannot be written"):
        TrustStore(tmp_path / "file").grant(root, now=0)
    (root / ".antiphon").mkdir()
    (root / ".antiphon/huge").write_bytes(b"0" * (1024 * 1024 + 1))
    with pytest.raises(ConfigurationError, match="cannot be read"):
        trust.grant(root, now=0)
