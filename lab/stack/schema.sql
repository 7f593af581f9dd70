-- The shop's tables; run at every start, so each statement may be repeated.
CREATE TABLE IF NOT EXISTS products (
    id bigint PRIMARY KEY,
    name text NOT NULL,
    price_cents integer NOT NULL CHECK (price_cents > 0)
);
CREATE TABLE IF NOT EXISTS accounts (
    name text PRIMARY KEY,
    password bytea NOT NULL
);
CREATE TABLE IF NOT EXISTS orders (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    account text NOT NULL REFERENCES accounts (name),
    key text NOT NULL,
    total_cents bigint NOT NULL DEFAULT 0,
    placed timestamptz NOT NULL DEFAULT now(),
    -- What makes a repeated checkout safe: one order a user and key.
    UNIQUE (account, key)
);
CREATE TABLE IF NOT EXISTS order_lines (
    order_id bigint NOT NULL REFERENCES orders (id),
    product_id bigint NOT NULL REFERENCES products (id),
    quantity integer NOT NULL CHECK (quantity > 0),
    price_cents integer NOT NULL,
    PRIMARY KEY (order_id, product_id)
);
