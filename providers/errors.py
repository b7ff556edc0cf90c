"""What can go wrong with a provider. Foreign errors are translated once, at the adapter that met them.

ProviderError
├── ProviderConfigurationError    unknown provider or model prefix, missing key, bad URL
├── AuthenticationError           the key was refused (401)
├── PermissionDeniedError         the key may not do this (403)
├── ModelNotFoundError            the server knows no such model (404)
├── InvalidRequestError           the server refused the request as malformed (other 4xx)
├── ContextOverflowError          the conversation does not fit the model's window
│   └── PromptTruncatedError      a local server cut the conversation without saying so
├── RateLimitError                429, retryable, with the server's delay where it gave one
├── QuotaExhaustedError           credit or quota is used up: not retryable
├── OverloadedError               5xx, 529: retryable
│   └── CircuitOpenError          the endpoint failed too often just now; nothing was sent
├── ConnectionFailedError         no connection, or it broke: retryable
├── ProviderTimeoutError          a time limit passed: retryable
├── BadResponseError              what came back is not an answer (HTML, broken stream, truncation)
├── AnswerCancelledError          the server says that it cancelled the answer: retryable
├── SessionLostError              an agent does not know the session it was to go on with
└── RefusalError                  the model or a content filter refused

A call that its caller cancels raises no ProviderError: the cancellation passes through.
"""


class ProviderError(Exception):
    """Base. `retryable`: the same request may succeed later. `retry_after`: seconds, if the server said.

    `answer_begun`: part of an answer had arrived and is lost, so the call may have been billed though its
    usage is unknown; the adapter sets it.
    """

    retryable = False

    def __init__(
        self, message: str, *, retry_after: float | None = None, retryable: bool | None = None
    ) -> None:
        super().__init__(message)
        self.retry_after = retry_after
        self.answer_begun = False
        if retryable is not None:
            self.retryable = retryable


class ProviderConfigurationError(ProviderError):
    """Raised before any request: the configuration cannot work; the message names the mend."""


class AuthenticationError(ProviderError):
    """Raised when the server refuses the key."""


class PermissionDeniedError(ProviderError):
    """Raised when the key is known but not allowed to do this."""


class ModelNotFoundError(ProviderError):
    """Raised when the server knows no model of that name."""


class InvalidRequestError(ProviderError):
    """Raised when the server calls the request malformed."""


class ContextOverflowError(ProviderError):
    """Raised when the conversation exceeds the model's window. Counts in tokens, where known."""

    def __init__(self, message: str, *, requested: int | None = None, limit: int | None = None) -> None:
        super().__init__(message)
        self.requested = requested
        self.limit = limit


class PromptTruncatedError(ContextOverflowError):
    """Raised when a local server read far fewer tokens than it was sent: it cut the conversation silently."""


class RateLimitError(ProviderError):
    """Raised on 429 with a limit that passes."""

    retryable = True


class QuotaExhaustedError(ProviderError):
    """Raised when credit or quota is used up; waiting does not help."""


class OverloadedError(ProviderError):
    """Raised on 5xx and 529."""

    retryable = True


class CircuitOpenError(OverloadedError):
    """Raised without a request while an endpoint that kept failing is left alone; `retry_after` says how long."""


class ConnectionFailedError(ProviderError):
    """Raised when no connection can be made or it broke before the answer was whole."""

    retryable = True


class ProviderTimeoutError(ProviderError):
    """Raised when connecting, the first token, the next token or the whole call took too long."""

    retryable = True


class BadResponseError(ProviderError):
    """Raised when what came back is not a whole, valid answer."""

    retryable = True


class AnswerCancelledError(ProviderError):
    """Raised when the server reports that it cancelled the answer."""

    retryable = True


class SessionLostError(ProviderError):
    """Raised when an agent no longer knows a session; the task can begin anew."""


class RefusalError(ProviderError):
    """Raised when the model or a content filter declined to answer."""
