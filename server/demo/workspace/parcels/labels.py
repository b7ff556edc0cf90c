"""The address on a label."""


def wrap(address, width):
    """The lines of a label, each at most `width` characters. Words stay whole where they fit a line;
    a longer word is cut, with a hyphen where it was cut.
    """
    return [address[start : start + width] for start in range(0, len(address), width)]
