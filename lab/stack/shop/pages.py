"""What a person sees."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from html import escape
from typing import Any

_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1c2733;background:#fafbfc}"
    "h1{font-weight:600}ul{list-style:none;padding:0;display:grid;gap:1rem;grid-template-columns:repeat(auto-fill,minmax(13rem,1fr))}"
    "li{background:#fff;border:1px solid #dde3ea;border-radius:.5rem;padding:1rem}"
    "b{display:block;font-weight:600}span{color:#4a6076}small{display:block;color:#6b7f93}footer{margin-top:2rem;color:#6b7f93;font-size:.85rem}"
)


def price(cents: int) -> str:
    """*cents* as people write it."""
    return f"€ {cents // 100}.{cents % 100:02d}"


def shown(product: Mapping[str, Any]) -> dict[str, Any]:
    """*product* with its amounts as people write them."""
    monthly = {months: price(cents) for months, cents in product["monthly_cents"].items()}
    return {**product, "price": price(product["price_cents"]), "monthly": monthly}


def home(products: Iterable[Mapping[str, Any]], pod: str, zone: str) -> str:
    """The front page: every product with its price, and which pod made the page."""
    cards = "".join(
        f"<li><b>{escape(p['name'])}</b><span>{price(p['price_cents'])}</span>"
        f"<small>or {price(p['monthly_cents']['12'])} a month for a year</small></li>"
        for p in products
    )
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>The shop</title>'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<style>{_STYLE}</style></head><body><main><h1>The shop</h1><ul>{cards}</ul></main>"
        f"<footer>served by {escape(pod)} in {escape(zone or 'no zone')}</footer></body></html>"
    )
