"""How many examples the property tests run: 500, or `ANTIPHON_EXAMPLES` (the nightly target: 20,000)."""

import os

from hypothesis import HealthCheck, settings

settings.register_profile(
    "antiphon",
    max_examples=int(os.environ.get("ANTIPHON_EXAMPLES", "500")),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
