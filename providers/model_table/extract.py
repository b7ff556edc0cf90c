"""Makes `models.json` anew: output limits, windows and abilities of the vendors' chat models.

The source is the table that the `litellm` package keeps up and ships (MIT licence). To refresh it:

    pip download --no-deps -d . litellm
    python -m providers.model_table.extract litellm-*.whl

Nothing of this runs in the program itself.
"""

import json
import sys
import zipfile
from pathlib import Path
from typing import Any

SOURCE = "litellm/model_prices_and_context_window_backup.json"
TARGET = Path(__file__).with_name("models.json")
VENDORS = {"openai": "openai", "anthropic": "anthropic", "gemini": "google"}
ABILITIES = {
    "images": "supports_vision",
    "tools": "supports_function_calling",
    "reasoning": "supports_reasoning",
    "schema": "supports_response_schema",
    "cache": "supports_prompt_caching",
}


def extract(table: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """`VENDOR/MODEL` → window (input tokens), output (tokens), abilities; what is not known is left out."""
    found: dict[str, dict[str, Any]] = {}
    for name, entry in table.items():
        vendor = VENDORS.get(str(entry.get("litellm_provider")))
        if vendor is None or entry.get("mode") not in {"chat", "responses"} or name.startswith("ft:"):
            continue
        known: dict[str, Any] = {
            ours: entry[theirs]
            for ours, theirs in (("window", "max_input_tokens"), ("output", "max_output_tokens"))
            if isinstance(entry.get(theirs), int)
        }
        known["abilities"] = [ability for ability, flag in ABILITIES.items() if entry.get(flag)]
        found[f"{vendor}/{name.removeprefix('gemini/')}"] = known
    return dict(sorted(found.items()))


def main() -> None:
    wheel = Path(sys.argv[1])
    with zipfile.ZipFile(wheel) as archive:
        table = json.loads(archive.read(SOURCE))
    lines = [f"{json.dumps(name)}: {json.dumps(entry)}" for name, entry in extract(table).items()]
    head = f'"source": {json.dumps(wheel.name.split("-cp")[0])}'
    TARGET.write_text("{" + head + ',\n"models": {\n' + ",\n".join(lines) + "\n}}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
