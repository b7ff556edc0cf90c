"""Where the data of a workspace lives."""

import json
import stat
from pathlib import Path

import pytest

from orchestration.errors import ConfigurationError, JournalError, SchemaTooNewError
from orchestration.journal.data_dir import data_root, make_private, workspace_home


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


class TestRoot:
    def test_the_setting_goes_before_the_variable_before_the_system(self, tmp_path: Path) -> None:
        environment = {"ANTIPHON_DATA_DIR": "/by/variable", "XDG_DATA_HOME": "/by/xdg"}
        assert data_root(environment, tmp_path) == tmp_path
        assert data_root(environment) == Path("/by/variable")
        assert data_root({"XDG_DATA_HOME": "/by/xdg", "ANTIPHON_DATA_DIR": ""}) == Path("/by/xdg/antiphon")
        assert data_root({}).name == "antiphon"
        assert data_root({}, Path("~/data")) == Path.home() / "data"

    @pytest.mark.parametrize(
        ("environment", "override"), [({"ANTIPHON_DATA_DIR": "rel"}, None), ({}, Path("rel"))]
    )
    def test_a_relative_path_is_refused(self, environment: dict[str, str], override: Path | None) -> None:
        with pytest.raises(ConfigurationError, match="absolute"):
            data_root(environment, override)


class TestHome:
    def test_one_home_for_each_real_path_private_to_the_user(self, tmp_path: Path) -> None:
        workspace = tmp_path / "Knitting & Co \u00e9"
        workspace.mkdir()
        (tmp_path / "link").symlink_to(workspace)
        data = tmp_path / "data" / "deep"
        home = workspace_home(workspace, data)
        assert workspace_home(tmp_path / "link", data) == home
        assert home.workspace == workspace
        assert home.path.name.startswith("knitting-co-")
        assert {mode(home.path), mode(home.path.parent), mode(data), mode(data.parent)} == {0o700}
        assert json.loads((home.path / "workspace.json").read_bytes()) == {
            "schema": 1,
            "id": home.workspace_id,
            "path": str(workspace),
        }
        other = tmp_path / "other" / workspace.name
        other.mkdir(parents=True)
        assert workspace_home(other, data).path != home.path

    def test_never_inside_the_workspace_unless_told_so(self, tmp_path: Path) -> None:
        for data in (tmp_path, tmp_path / "data"):
            with pytest.raises(ConfigurationError, match=r"inside the workspace.*ANTIPHON_DATA_DIR"):
                workspace_home(tmp_path, data)
        assert list(tmp_path.iterdir()) == []
        assert workspace_home(tmp_path, tmp_path / "data", allow_inside=True).path.is_dir()
        # Beside it, or around it, is fine.
        (tmp_path / "project").mkdir()
        assert workspace_home(tmp_path / "project", tmp_path / "project-data").path.is_dir()

    def test_a_name_that_is_no_utf_8(self, tmp_path: Path) -> None:
        workspace = tmp_path / "caf\udce9"
        workspace.mkdir()
        home = workspace_home(workspace, tmp_path / "data")
        assert workspace_home(workspace, tmp_path / "data") == home

    @pytest.mark.parametrize(
        ("content", "error", "says"),
        [
            (b"{", JournalError, "cannot be read"),
            (b'{"schema": 2, "id": "x", "path": "/x"}', SchemaTooNewError, "newer"),
            (
                b'{"schema": 1, "id": "x", "path": "/elsewhere"}',
                JournalError,
                "belongs to the workspace /elsewhere",
            ),
        ],
    )
    def test_a_strange_card(self, tmp_path: Path, content: bytes, error: type[Exception], says: str) -> None:
        workspace = tmp_path / "w"
        workspace.mkdir()
        card = workspace_home(workspace, tmp_path / "data").path / "workspace.json"
        card.write_bytes(content)
        with pytest.raises(error, match=says):
            workspace_home(workspace, tmp_path / "data")
        assert card.read_bytes() == content

    def test_a_file_in_the_way(self, tmp_path: Path) -> None:
        workspace = tmp_path / "w"
        workspace.mkdir()
        (tmp_path / "data").write_text("mine")
        with pytest.raises(JournalError, match=r"cannot use .*ANTIPHON_DATA_DIR"):
            workspace_home(workspace, tmp_path / "data")

    def test_making_a_folder_twice(self, tmp_path: Path) -> None:
        make_private(tmp_path / "a" / "b")
        make_private(tmp_path / "a" / "b")
        assert mode(tmp_path / "a" / "b") == 0o700
