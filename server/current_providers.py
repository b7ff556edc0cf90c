"""The providers of an open workspace, built anew when the settings that describe them have changed.

Calls under way end with the providers they began with. What a provider learnt (limits, calibration) begins anew.
"""

import logging
from collections.abc import Callable

from orchestration.errors import ConfigurationError
from providers.base import ModelProvider
from providers.registry import Registry
from server.settings import ProviderSettings, Settings

logger = logging.getLogger(__name__)


class CurrentProviders:
    """An `orchestration.engine_ports.ModelSource`. `current` reads the settings as they are now."""

    def __init__(
        self, settings: Settings, build: Callable[[Settings], Registry], current: Callable[[], Settings]
    ) -> None:
        self._build = build
        self._current = current
        self._key = _described(settings)
        self._registries = [build(settings)]

    @property
    def registry(self) -> Registry:
        """The one for calls that begin now. Settings that cannot be read leave it as it was."""
        try:
            settings = self._current()
            key = _described(settings)
            if key != self._key:
                self._registries.append(self._build(settings))
                self._key = key
        except ConfigurationError as error:
            logger.warning("the settings cannot be read, so the providers stay as they were: %s", error)
        return self._registries[-1]

    def resolve(self, model: str) -> tuple[ModelProvider, str]:
        return self.registry.resolve(model)

    async def aclose(self) -> None:
        for registry in self._registries:
            await registry.aclose()


def _described(settings: Settings) -> tuple[ProviderSettings, object]:
    return settings.providers, settings.models
