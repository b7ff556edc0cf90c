"""Dutch postcodes: four digits, the first of them not 0, a space, two letters."""

import re


def normalise(given):
    """`" 1017ab "` -> `"1017 AB"`. Raises ValueError for what is no postcode."""
    match = re.match(r"\s*(\d{4})\s?([A-Za-z]{2})", given)
    if match is None:
        raise ValueError(f"{given!r} is no postcode")
    return f"{match[1]} {match[2]}"
