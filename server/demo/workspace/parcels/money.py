"""Amounts are whole cents. Text is what people type and read."""


def cents(euros):
    """`"19.99"` -> 1999. Raises ValueError for anything but a plain amount with at most two decimals."""
    return int(float(euros) * 100)


def text(amount):
    """1999 -> `"19.99"`; a negative amount is a refund and keeps its sign in front."""
    return f"{amount // 100}.{amount % 100:02d}"
