"""What a parcel costs by weight and zone."""

# Up to and including so many grams; prices in cents.
BRACKETS = {
    "home": [(500, 420), (2000, 695), (10000, 995), (20000, 1395)],
    "eu": [(500, 895), (2000, 1295), (10000, 1995), (20000, 2795)],
}


def price(grams, zone):
    """Cents. Raises ValueError for an unknown zone, for no weight, and beyond the heaviest bracket."""
    for limit, amount in BRACKETS[zone]:
        if grams < limit:
            return amount
