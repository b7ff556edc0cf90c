"""Numbers for people: tokens, money, durations. Unknown is `?`, never zero."""

UNKNOWN = "?"


def tokens(count: int | None) -> str:
    if count is None:
        return UNKNOWN
    if count < 1000:
        return str(count)
    return f"{count / 1000:.1f}k" if count < 1_000_000 else f"{count / 1_000_000:.1f}M"


def usd(amount: float | None) -> str:
    if amount is None:
        return UNKNOWN
    if amount == 0:
        return "$0"
    return f"${amount:.4f}" if amount < 0.1 else f"${amount:.2f}"


def duration(seconds: float) -> str:
    whole = max(0, int(seconds))
    if whole < 60:
        return f"{max(0.0, seconds):.1f}s" if seconds < 10 else f"{whole}s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes}m {rest:02d}s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h {minutes:02d}m"


def size(count: int) -> str:
    value, unit = float(count), "B"
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000 or unit == "GB":
            break
        value /= 1000
    return f"{value:.0f} {unit}" if unit == "B" or value >= 100 else f"{value:.1f} {unit}"


def several(count: int, noun: str, plural: str = "") -> str:
    return f"{count} {noun if count == 1 else plural or noun + 's'}"
