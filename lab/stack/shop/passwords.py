"""Passwords, as salted digests."""

from __future__ import annotations

import hashlib
import hmac

# What a pod of 150 mCPU can pay at every login (2 ms); a shop with real users would take hundreds of thousands.
ROUNDS = 4000


def digest(user: str, password: str) -> bytes:
    """What is stored for *password*; the user's name is its salt."""
    return hashlib.pbkdf2_hmac("sha256", password.encode(), user.encode(), ROUNDS)


def matches(user: str, password: str, stored: bytes) -> bool:
    """Whether *password* is the one that *stored* was made of."""
    return hmac.compare_digest(digest(user, password), stored)
