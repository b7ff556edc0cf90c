"""Whether a local server read all that it was sent. Some cut what exceeds their window, without a word."""

from typing import TYPE_CHECKING

from providers import errors
from providers.messages import Image, Request
from providers.tokens import estimate_request
from providers.usage import Usage

if TYPE_CHECKING:
    from providers.http.failures import Place

FEWEST = 1000  # estimated tokens below which nothing is said: the estimate's own error is too large
FAR_BELOW = 0.5  # of the estimate, whose error stays under 40 %
NEAR_WINDOW = 0.9  # of the served window: shorter requests need no cutting, whatever was reported


def is_truncated(request: Request, reported: int | None, *, window: int | None) -> bool:
    """`reported`: the tokens of the prompt as the server counted them; `window`: what it serves. A window that
    is not known proves nothing: many gateways count in their own way, or report what they please.
    """
    if (
        reported is None
        or window is None
        or any(isinstance(part, Image) for message in request.messages for part in message.parts)
    ):
        return False
    estimate = estimate_request(request)
    if estimate < FEWEST or reported >= FAR_BELOW * estimate:
        return False
    return estimate > NEAR_WINDOW * window


def check_not_truncated(request: Request, usage: Usage, *, window: int | None, place: "Place") -> None:
    """Raises PromptTruncatedError with the counts."""
    if not is_truncated(request, usage.input_tokens, window=window):
        return
    estimate = estimate_request(request)
    served = "" if window is None else f" It serves a window of {window} tokens."
    raise errors.PromptTruncatedError(
        f"{place.url} read {usage.input_tokens} tokens of about {estimate}: it cut the conversation silently."
        f"{served} Give the model a larger window at the server, or set `context_window` of the model",
        requested=estimate,
        limit=window or usage.input_tokens,
    )
