"""
Spike: shoppers browse, log in, fill a cart and check out; from few to many within seconds, and back.

Runs plainly too: `locust -f loadprofiles/spike.py --headless --host http://…`.
"""

import uuid

from locust import task

from harness.load.stages import StagedShape
from harness.load.users import ScheduledUser
from harness.model.plan import Stage

PRODUCTS = 24
ACCOUNTS = 1000


class Shopper(ScheduledUser):
    """One journey every five seconds, as a new visitor each time: page, list, product, login, cart, order."""

    every = 5.0

    @task
    def shop(self) -> None:
        """Look around, then buy; who cannot log in or fill the cart goes home without an order."""
        self.client.cookiejar.clear()
        self.send("GET", "/", "page")
        self.send("GET", "/products", "browse")
        product = self.random.randint(1, PRODUCTS)
        self.send("GET", f"/products/{product}", "product")
        token = self.log_in()
        if token is None or not self.fill_cart(product, token):
            self.abandon()
            return
        self.check_out(token)

    def log_in(self) -> str | None:
        """The bearer token of a new session (its cookie is in the jar); None when there is none."""
        account = {"user": f"user-{self.random.randint(1, ACCOUNTS):04}", "password": "secret"}
        with self.send("POST", "/login", "login", json=account, catch_response=True) as response:
            if response.status_code != 200:
                return None
            token = (response.json() or {}).get("token")
            if not token:
                response.failure("login answered without a token")
            return token

    def fill_cart(self, product: int, token: str) -> bool:
        """Whether the product lies in the cart."""
        line = {"product_id": product, "quantity": self.random.randint(1, 3)}
        response = self.send("POST", "/cart", "cart", json=line, headers=bearer(token))
        return bool(response.status_code == 200)

    def check_out(self, token: str) -> None:
        """Order what is in the cart, under a key that would make a second try harmless."""
        key = {"Idempotency-Key": str(uuid.uuid4())}
        self.send("POST", "/checkout", "checkout", json={}, headers=bearer(token) | key)


def bearer(token: str) -> dict[str, str]:
    """The header that shows *token*."""
    return {"Authorization": f"Bearer {token}"}


class Spike(StagedShape):
    """The stages when no plan gives any."""

    stages = (
        Stage("baseline", seconds=60, users=20),
        Stage("spike", seconds=120, users=100, spawn_rate=20),
        Stage("recovery", seconds=60, users=20),
    )
