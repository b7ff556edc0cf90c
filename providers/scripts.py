"""Where the scripts of `scripted/NAME` are: a folder of `NAME.yaml` files, or one such file."""

from pathlib import Path

from providers import errors

_SUFFIXES = (".yaml", ".yml")


def script_names(scripts: Path) -> dict[str, Path]:
    """Raises ProviderConfigurationError when the folder cannot be read."""
    try:
        files = sorted(scripts.iterdir()) if scripts.is_dir() else [scripts] if scripts.is_file() else []
    except OSError as error:
        raise errors.ProviderConfigurationError(f"cannot read the scripts in {scripts}: {error}") from error
    return {path.stem: path for path in files if path.suffix in _SUFFIXES}


def script_path(name: str, scripts: Path | None) -> Path:
    """Raises ProviderConfigurationError, naming what there is, when there is no such script."""
    if scripts is None:
        raise errors.ProviderConfigurationError(
            f"scripted/{name} needs a script and none is configured: name a folder of NAME.yaml files"
        )
    names = script_names(scripts)
    if name in names:
        return names[name]
    import difflib  # only on the way to an error

    known = ", ".join(f"scripted/{known}" for known in names) or "none"
    near = difflib.get_close_matches(name.lower(), names, n=1)
    mend = f"; did you mean {near[0]!r}?" if near else ""
    raise errors.ProviderConfigurationError(
        f"no script named {name!r} in {scripts}; there are: {known}{mend}"
    )
