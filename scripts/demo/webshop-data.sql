-- Fills the webshop with data that is always the same: everything is computed from row numbers by hashing.
-- psql variable: scale, the number of products; everything else is in proportion.

\set ON_ERROR_STOP on
-- The rows refer to each other by construction: checking each reference again would only take time.
SET session_replication_role = replica;
SET synchronous_commit = off;

-- A number from 0 to n-1 that looks random and depends on the two arguments alone.
CREATE FUNCTION pg_temp.pick(seed bigint, n integer) RETURNS integer LANGUAGE sql IMMUTABLE PARALLEL SAFE AS
    $$ SELECT ((hashint8extended(seed, 42) & 9223372036854775807) % n)::integer $$;

BEGIN;

INSERT INTO products (sku, name, description, price_cents, added_at)
SELECT format('SKU-%s', lpad(n::text, 6, '0')),
       (ARRAY['Oak','Walnut','Linen','Copper','Ceramic','Woollen','Steel','Bamboo'])[1 + pg_temp.pick(n, 8)] || ' ' ||
       (ARRAY['chair','lamp','bowl','blanket','shelf','kettle','mirror','stool','clock','vase'])[1 + pg_temp.pick(n + 1, 10)] ||
       format(' No. %s', n),
       'Made by hand in a small workshop. ' || repeat(md5(n::text) || ' ', 1 + pg_temp.pick(n + 2, 6)),
       500 + pg_temp.pick(n + 3, 50000),
       timestamptz '2020-01-01 00:00+00' + n * interval '1 hour'
FROM generate_series(1, :scale) n;

-- A picture each: a symmetrical pattern of 8 by 8 blocks as an uncompressed 64 by 64 BMP.
CREATE FUNCTION pg_temp.pattern(n bigint) RETURNS bytea LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    WITH look AS (
        SELECT decode(md5(n::text), 'hex') AS bits, substring(sha256(n::text::bytea) FROM 1 FOR 3) AS ink
    )
    SELECT decode('424d36300000000000003600000028000000400000004000000001001800000000000030000000000000000000000000000000000000', 'hex')
        || string_agg(line, ''::bytea ORDER BY y)
    FROM (
        SELECT y, (SELECT string_agg(
                       decode(repeat(encode(CASE WHEN get_bit(bits, y * 4 + least(x, 7 - x)) = 1 THEN ink
                                                 ELSE '\xf8f4f0'::bytea END, 'hex'), 8), 'hex'), ''::bytea ORDER BY x)
                   FROM generate_series(0, 7) x) AS block_line
        FROM look, generate_series(0, 7) y
    ) rows, LATERAL (SELECT decode(repeat(encode(block_line, 'hex'), 8), 'hex') AS line) lines
$$;

INSERT INTO product_images SELECT id, 'image/bmp', pg_temp.pattern(id) FROM products;

INSERT INTO customers (email, name, city, joined_at)
SELECT format('customer%s@mail.example', n),
       (ARRAY['Ada','Bea','Carl','Dora','Emil','Fay','Gus','Hana','Ivo','Jana','Karl','Lea','Max','Nora','Omar','Pia'])[1 + pg_temp.pick(n + 5, 16)]
       || ' ' || initcap(substr(translate(md5(n::text), '0123456789', 'ghiklmnors'), 1, 7)),
       (ARRAY['Utrecht','Graz','Porto','Lyon','Turku','Gdańsk','Košice','Malmö','Ghent','Bergen'])[1 + pg_temp.pick(n + 6, 10)],
       timestamptz '2020-01-01 00:00+00' + n * interval '10 minutes'
FROM generate_series(1, :scale * 25) n;

INSERT INTO orders (customer_id, status, placed_at, note)
SELECT 1 + pg_temp.pick(n + 7, :scale * 25),
       (ARRAY['paid','shipped','shipped','shipped','returned']::order_status[])[1 + pg_temp.pick(n + 8, 5)],
       timestamptz '2021-01-01 00:00+00' + n * interval '5 minutes',
       CASE WHEN n % 9 = 0 THEN 'Please leave it with the neighbours: ' || md5(n::text) END
FROM generate_series(1, :scale * 80) n;

INSERT INTO order_items
SELECT o.id, line, 1 + pg_temp.pick(o.id * 4 + line, :scale), 1 + pg_temp.pick(o.id + line, 3),
       500 + pg_temp.pick(pg_temp.pick(o.id * 4 + line, :scale) + 4, 50000)
FROM orders o, generate_series(1, 1 + pg_temp.pick(o.id + 9, 4)) line;

INSERT INTO events (at, kind, payload)
SELECT timestamptz '2021-01-01 00:00+00' + n * interval '2 minutes',
       (ARRAY['view','view','view','search','basket','login'])[1 + pg_temp.pick(n + 10, 6)],
       jsonb_build_object('session', md5((n / 12)::text), 'product', 1 + pg_temp.pick(n + 11, :scale),
                          'agent', (ARRAY['Firefox','Safari','Chromium','curl'])[1 + pg_temp.pick(n + 12, 4)],
                          'milliseconds', pg_temp.pick(n + 13, 900), 'referrer', format('https://search.example/?q=%s', n % 5000))
FROM generate_series(1, :scale * 160) n;

COMMIT;
ANALYZE;
