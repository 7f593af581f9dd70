"""What runs in the lab: the shop, its data, its edge, its metrics."""
