"""`antiphon/key/set`: a provider's key goes into the editor's secret store, or out of it."""

from server.host import Host
from server.jsonrpc import INVALID_PARAMS, REQUEST_FAILED, RpcError
from server.protocol import KeySetParams, KeySetResult

PARAMS = KeySetParams


async def handle(host: Host, params: KeySetParams) -> KeySetResult:
    from providers.errors import ProviderConfigurationError, ProviderError
    from providers.key_stores import checked_key

    if host.secrets is None:
        raise RpcError(
            REQUEST_FAILED,
            "this editor offers no secret store (`experimental.antiphon.secrets`); keep the key in the "
            "environment, the system's keyring or the user's configuration",
        )
    key = (params.key or "").strip()
    try:
        if key:
            await host.secrets.store(params.provider, checked_key(key, "`key`"))
        else:
            await host.secrets.delete(params.provider)
    except ProviderConfigurationError as error:
        raise RpcError(INVALID_PARAMS, str(error)) from error
    except ProviderError as error:
        raise RpcError(REQUEST_FAILED, str(error)) from error
    return KeySetResult(provider=params.provider, kept=bool(key))
