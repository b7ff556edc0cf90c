"""`python -m orchestration.agents` renews `manifest.json` after a role or a prompt was changed."""

import json
from pathlib import Path

from orchestration.agents.roles import manifest

Path(__file__).with_name("manifest.json").write_text(json.dumps(manifest(), indent=2) + "\n")
