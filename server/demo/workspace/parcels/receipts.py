"""The receipt of several parcels."""

from parcels import money, rates


def total(parcels, discount_percent=0):
    """Cents for `[(grams, zone), ...]`. The discount is taken from the sum, half a cent rounds up."""
    whole = 0
    for grams, zone in parcels:
        amount = rates.price(grams, zone)
        whole += amount - amount * discount_percent // 100
    return whole


def receipt(parcels, discount_percent=0):
    """One line a parcel and the total."""
    lines = [f"{zone} {grams} g  {money.text(rates.price(grams, zone))}" for grams, zone in parcels]
    return "\n".join([*lines, f"total  {money.text(total(parcels, discount_percent))}"])
