"""The providers of an open workspace, built anew when the settings that describe them have changed.

Calls under way end with the providers they began with. What a provider learnt (limits, calibration) begins anew.
"""

import logging
from collections.abc import Callable
from typing import Protocol

from orchestration.errors import ConfigurationError
from providers.base import ModelProvider
from server.settings import ProviderSettings, Settings

logger = logging.getLogger(__name__)


class Providers(Protocol):
    """What is needed of a registry here."""

    def resolve(self, model_id: str) -> tuple[ModelProvider, str]: ...
    async def aclose(self) -> None: ...


class CurrentProviders:
    """An `orchestration.engine_ports.ModelSource`. `current` reads the settings as they are now."""

    def __init__(
        self, settings: Settings, build: Callable[[Settings], Providers], current: Callable[[], Settings]
    ) -> None:
        self._build = build
        self._current = current
        self._key = _described(settings)
        self._registries = [build(settings)]

    def resolve(self, model: str) -> tuple[ModelProvider, str]:
        """Settings that cannot be read leave the providers as they were."""
        try:
            settings = self._current()
            key = _described(settings)
            if key != self._key:
                self._registries.append(self._build(settings))
                self._key = key
        except ConfigurationError as error:
            logger.warning("the settings cannot be read, so the providers stay as they were: %s", error)
        return self._registries[-1].resolve(model)

    async def aclose(self) -> None:
        for registry in self._registries:
            await registry.aclose()


def _described(settings: Settings) -> tuple[ProviderSettings, object]:
    return settings.providers, settings.models
