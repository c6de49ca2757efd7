-- The webshop's schema: definitions only, no data.

CREATE TYPE order_status AS ENUM ('new', 'paid', 'shipped', 'returned');

CREATE TABLE products (
    id          bigserial PRIMARY KEY,
    sku         text NOT NULL UNIQUE,
    name        text NOT NULL,
    description text NOT NULL,
    price_cents integer NOT NULL CHECK (price_cents > 0),
    added_at    timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE product_images (
    product_id bigint PRIMARY KEY REFERENCES products ON DELETE CASCADE,
    media_type text NOT NULL,
    image      bytea NOT NULL
);

CREATE TABLE customers (
    id        bigserial PRIMARY KEY,
    email     text NOT NULL UNIQUE,
    name      text NOT NULL,
    city      text NOT NULL,
    joined_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE orders (
    id          bigserial PRIMARY KEY,
    customer_id bigint NOT NULL REFERENCES customers,
    status      order_status NOT NULL DEFAULT 'new',
    placed_at   timestamptz NOT NULL DEFAULT now(),
    note        text
);

CREATE INDEX orders_by_customer ON orders (customer_id);
CREATE INDEX orders_open ON orders (placed_at) WHERE status IN ('new', 'paid');

CREATE TABLE order_items (
    order_id    bigint NOT NULL REFERENCES orders ON DELETE CASCADE,
    line_no     smallint NOT NULL,
    product_id  bigint NOT NULL REFERENCES products,
    quantity    integer NOT NULL CHECK (quantity > 0),
    price_cents integer NOT NULL,
    PRIMARY KEY (order_id, line_no)
);

CREATE INDEX order_items_by_product ON order_items (product_id);

CREATE TABLE events (
    id      bigserial PRIMARY KEY,
    at      timestamptz NOT NULL,
    kind    text NOT NULL,
    payload jsonb NOT NULL
);

CREATE INDEX events_by_kind ON events (kind, at);

CREATE VIEW best_sellers AS
    SELECT p.id, p.name, p.price_cents, coalesce(sum(i.quantity), 0) AS sold
    FROM products p
    LEFT JOIN order_items i ON i.product_id = p.id
    GROUP BY p.id;
