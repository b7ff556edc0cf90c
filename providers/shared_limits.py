"""The limiters of a process: one for each address and key, however many providers, runs and workspaces use them.

What a server allows, it allows a key. Two names for the same address and key share a limiter, and so do the engines of
two workspaces that are given the same `SharedLimits`; what was learnt outlives a change of settings.
"""

import hashlib
from collections.abc import Callable

from providers.limits import CallLimiter
from providers.vendors import Resolved


class SharedLimits:
    """Keeps no key, only what tells two of them apart."""

    def __init__(self) -> None:
        self._limiters: dict[str, CallLimiter] = {}

    def of(self, resolved: Resolved, make: Callable[[], CallLimiter]) -> CallLimiter:
        """`make` is called for an address and key that are met for the first time, or with other limits of the user's."""
        place, given = resolved.place, resolved.settings
        # A key that comes later is told by the name of its provider: that is what a store is asked for.
        late = bool(resolved.key_command or resolved.stores)
        what = (
            place.url,
            place.key,
            sorted(given.headers.items()),
            resolved.id if late else "",
            given.requests_per_minute,
            given.tokens_per_minute,
            given.max_concurrent_calls,
        )
        digest = hashlib.sha256(repr(what).encode()).hexdigest()
        limiter = self._limiters.get(digest)
        if limiter is None:
            limiter = self._limiters[digest] = make()
        return limiter
