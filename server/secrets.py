"""The editor's secret store: keys that the client keeps for its user and gives out when the server asks.

Asked only of clients that declared `experimental.antiphon.secrets`. A value is in no log, no settings and no journal:
it goes from the client's answer to the header of a call.
"""

import anyio

from providers.errors import AuthenticationError
from server.client import Client
from server.jsonrpc import RpcError
from server.logs import hide
from server.methods import SECRETS_DELETE, SECRETS_GET, SECRETS_STORE

TITLE = "the editor's secret store"
# The client may have to ask its user to unlock it.
ANSWER_WITHIN_S = 30.0


def secret_name(provider: str) -> str:
    """What a provider's key is called in the store."""
    return f"providers.{provider}.api_key"


class EditorSecrets:
    """A `providers.key_stores.KeyStore`. `revision` grows whenever a key was put there or taken away through us."""

    title = TITLE
    mend = "set it by the editor's command, or `antiphon.server.key.set` with the provider `{provider}`"

    def __init__(self, client: Client) -> None:
        self._client = client
        self.revision = 0

    async def find(self, provider: str) -> str | None:
        """Raises AuthenticationError when the client cannot say."""
        said = await self._ask(SECRETS_GET, {"name": secret_name(provider)})
        value = said.get("value") if isinstance(said, dict) else None
        if not isinstance(value, str) or not value:
            return None
        hide(value)
        return value

    async def store(self, provider: str, key: str) -> None:
        """Raises AuthenticationError when the client does not keep it."""
        hide(key)
        await self._ask(SECRETS_STORE, {"name": secret_name(provider), "value": key})
        self.revision += 1

    async def delete(self, provider: str) -> None:
        """Raises AuthenticationError when the client does not let go of it."""
        await self._ask(SECRETS_DELETE, {"name": secret_name(provider)})
        self.revision += 1

    async def _ask(self, method: str, params: dict[str, str]) -> object:
        try:
            with anyio.fail_after(ANSWER_WITHIN_S):
                return await self._client.ask(method, params)
        except TimeoutError as error:
            raise AuthenticationError(f"{TITLE} did not answer within {ANSWER_WITHIN_S:g} s") from error
        except RpcError as error:
            raise AuthenticationError(f"{TITLE} cannot be asked: {error.message}") from error
