"""What a price means: without tax, and paid by the month; amounts in whole cents, rounded half even."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

TAX = Decimal("0.19")
PLANS = (6, 12, 24)
MONTHLY_RATE = Decimal("0.049") / 12


def without_tax(cents: int) -> int:
    """The net price."""
    return int((cents / (1 + TAX)).to_integral_value())


def monthly(cents: int, months: int) -> int:
    """What is due each month, by the annuity formula."""
    growth = (1 + MONTHLY_RATE) ** months
    return int((cents * MONTHLY_RATE * growth / (growth - 1)).to_integral_value())


def priced(product: Mapping[str, Any]) -> dict[str, Any]:
    """*product* with what its price means."""
    cents = product["price_cents"]
    plans = {str(months): monthly(cents, months) for months in PLANS}
    return {**product, "without_tax_cents": without_tax(cents), "monthly_cents": plans}
