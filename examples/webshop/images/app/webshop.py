"""The webshop: a small web service over PostgreSQL, made to be moved from one place to another.

Everything it needs to know comes from the environment: DB_HOST, DB_PORT, DB_NAME, DB_USER, DB_PASSWORD, LISTEN_HOST,
LISTEN_PORT, and SHOP_PLACE, the words in which a page says where it is served from. It keeps no state of its own.
"""

import html
import json
import os
import re
import signal
import socket
import sys
import threading
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import psycopg2
import psycopg2.errors
import psycopg2.extras

TABLES = ("customers", "events", "order_items", "orders", "product_images", "products")
PRODUCTS_ON_FRONT_PAGE = 12
MAX_FORM_BYTES = 4096

# Sums that change when a row is lost, doubled or altered, and that both sides can be asked for.
SUMS = {
    "order_items.price_cents": "SELECT sum(quantity * price_cents) FROM order_items",
    "orders.placed_at": "SELECT sum(extract(epoch FROM placed_at))::text FROM orders",
    "product_images.bytes": "SELECT sum(length(image)) FROM product_images",
    "customers.email": "SELECT md5(string_agg(email, ',' ORDER BY id)) FROM customers",
    "next order": "SELECT last_value FROM orders_id_seq",
}


class Database:
    """Hands out connections, keeping a few open; each request uses one."""

    def __init__(self, environment):
        self._settings = {
            "host": environment["DB_HOST"],
            "port": environment.get("DB_PORT", "5432"),
            "dbname": environment["DB_NAME"],
            "user": environment["DB_USER"],
            "password": environment["DB_PASSWORD"],
            "connect_timeout": 3,
            "application_name": "webshop",
        }
        self._idle = []
        self._lock = threading.Lock()

    @contextmanager
    def cursor(self):
        """A cursor in a transaction: committed when the block ends, rolled back when it fails."""
        connection = self._take()
        try:
            with connection, connection.cursor(cursor_factory=psycopg2.extras.DictCursor) as cursor:
                yield cursor
        except BaseException:
            connection.close()
            raise
        with self._lock:
            self._idle.append(connection)

    def _take(self):
        with self._lock:
            while self._idle:
                connection = self._idle.pop()
                if not connection.closed and self._answers(connection):
                    return connection
        return psycopg2.connect(**self._settings)

    @staticmethod
    def _answers(connection):
        try:
            with connection, connection.cursor() as cursor:
                cursor.execute("SELECT 1")
            return True
        except psycopg2.Error:
            connection.close()
            return False


class NotFound(Exception):
    """What was asked for is not in the shop."""


class BadRequest(Exception):
    """What was sent cannot be understood; the message says why."""


def money(cents):
    return f"€ {cents // 100:,}.{cents % 100:02d}"


class Shop:
    """The pages: each method answers one route with (status, content type, body, extra headers)."""

    def __init__(self, database, place):
        self.database = database
        self.place = place

    def front(self):
        with self.database.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM orders")
            (orders,) = cursor.fetchone()
            cursor.execute("SELECT count(*) FROM customers")
            (customers,) = cursor.fetchone()
            cursor.execute(
                "SELECT id, name, price_cents, sold FROM best_sellers ORDER BY sold DESC, id LIMIT %s",
                (PRODUCTS_ON_FRONT_PAGE,),
            )
            products = cursor.fetchall()
        cards = "".join(
            f'<a class="card" href="/products/{row["id"]}"><img src="/products/{row["id"]}/image" alt="">'
            f"<b>{html.escape(row['name'])}</b><span>{money(row['price_cents'])}</span>"
            f"<small>{row['sold']} sold</small></a>"
            for row in products
        )
        return self._page(
            "Webshop",
            f"<p>{orders:,} orders from {customers:,} customers so far. Our best sellers:</p>"
            f'<div class="cards">{cards}</div>',
        )

    def product(self, product_id):
        with self.database.cursor() as cursor:
            cursor.execute("SELECT id, sku, name, description, price_cents FROM products WHERE id = %s", (product_id,))
            row = cursor.fetchone()
        if row is None:
            raise NotFound(f"there is no product {product_id}")
        return self._page(
            row["name"],
            f'<img class="large" src="/products/{row["id"]}/image" alt="">'
            f"<p>{html.escape(row['description'])}</p>"
            f"<p>{html.escape(row['sku'])} · <b>{money(row['price_cents'])}</b></p>"
            f'<form method="post" action="/orders"><input type="hidden" name="product_id" value="{row["id"]}">'
            '<input name="quantity" type="number" min="1" max="100" value="1">'
            '<input name="email" type="email" placeholder="you@example.org" required><button>Order</button></form>',
        )

    def image(self, product_id):
        with self.database.cursor() as cursor:
            cursor.execute("SELECT media_type, image FROM product_images WHERE product_id = %s", (product_id,))
            row = cursor.fetchone()
        if row is None:
            raise NotFound(f"product {product_id} has no image")
        return HTTPStatus.OK, row["media_type"], bytes(row["image"]), {"Cache-Control": "max-age=3600"}

    def order(self, order_id):
        with self.database.cursor() as cursor:
            cursor.execute(
                "SELECT o.id, o.status, o.placed_at, c.name FROM orders o JOIN customers c ON c.id = o.customer_id "
                "WHERE o.id = %s",
                (order_id,),
            )
            order = cursor.fetchone()
            if order is None:
                raise NotFound(f"there is no order {order_id}")
            cursor.execute(
                "SELECT i.quantity, i.price_cents, p.id, p.name FROM order_items i JOIN products p ON p.id = i.product_id "
                "WHERE i.order_id = %s ORDER BY i.line_no",
                (order_id,),
            )
            items = cursor.fetchall()
        lines = "".join(
            f"<tr><td>{row['quantity']} ×</td><td><a href='/products/{row['id']}'>{html.escape(row['name'])}</a></td>"
            f"<td>{money(row['quantity'] * row['price_cents'])}</td></tr>"
            for row in items
        )
        total = sum(row["quantity"] * row["price_cents"] for row in items)
        return self._page(
            f"Order {order['id']}",
            f"<p>{html.escape(order['name'])}, {order['placed_at']:%d %B %Y}: {order['status']}</p>"
            f"<table>{lines}<tr><td></td><td>Total</td><td><b>{money(total)}</b></td></tr></table>",
        )

    def place_order(self, form):
        product_id = whole_number(form, "product_id", 1, 2**63 - 1)
        quantity = whole_number(form, "quantity", 1, 100)
        email = form.get("email", "")
        if not re.fullmatch(r"[^@\s]{1,64}@[^@\s]{1,255}", email):
            raise BadRequest("'email' must be a mail address")
        with self.database.cursor() as cursor:
            cursor.execute("SELECT price_cents FROM products WHERE id = %s", (product_id,))
            product = cursor.fetchone()
            if product is None:
                raise NotFound(f"there is no product {product_id}")
            cursor.execute(
                "INSERT INTO customers (email, name, city) VALUES (%s, %s, '') "
                "ON CONFLICT (email) DO UPDATE SET email = excluded.email RETURNING id",
                (email, email.split("@")[0]),
            )
            (customer_id,) = cursor.fetchone()
            cursor.execute("INSERT INTO orders (customer_id) VALUES (%s) RETURNING id", (customer_id,))
            (order_id,) = cursor.fetchone()
            cursor.execute(
                "INSERT INTO order_items (order_id, line_no, product_id, quantity, price_cents) VALUES (%s, 1, %s, %s, %s)",
                (order_id, product_id, quantity, product["price_cents"]),
            )
        return HTTPStatus.SEE_OTHER, "text/plain", b"", {"Location": f"/orders/{order_id}"}

    def health(self):
        # The database may still be empty, while its data is on the way: being reachable is enough.
        with self.database.cursor() as cursor:
            cursor.execute("SELECT 1")
        return HTTPStatus.OK, "text/plain", b"ok\n", {}

    def summary(self):
        with self.database.cursor() as cursor:
            rows = {}
            for table in TABLES:
                cursor.execute(f"SELECT count(*) FROM {table}")
                rows[table] = cursor.fetchone()[0]
            sums = {}
            for name, query in SUMS.items():
                cursor.execute(query)
                sums[name] = str(cursor.fetchone()[0])
        body = {"served_from": self.place, "rows": rows, "sums": sums}
        return HTTPStatus.OK, "application/json", (json.dumps(body, indent=2) + "\n").encode(), {}

    def _page(self, title, body):
        return page(title, body, self.place)


def page(title, body, place, status=HTTPStatus.OK):
    document = f"""<!doctype html>
<html lang="en"><meta charset="utf-8"><title>{html.escape(title)}</title>
<style>
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #223 }}
header {{ display: flex; justify-content: space-between; align-items: baseline; border-bottom: 2px solid #27c }}
header a {{ font-size: 1.4rem; font-weight: 700; color: #27c; text-decoration: none }}
.cards {{ display: grid; grid-template-columns: repeat(auto-fill, minmax(12rem, 1fr)); gap: 1rem }}
.card {{ display: flex; flex-direction: column; padding: 1rem; border: 1px solid #ccd; border-radius: .5rem;
         color: inherit; text-decoration: none }}
.card img {{ width: 6rem; image-rendering: pixelated }} .large {{ width: 12rem; image-rendering: pixelated }}
td {{ padding: .2rem 1rem .2rem 0 }} small {{ color: #667 }}
</style>
<header><a href="/">Webshop</a><span>served from <b>{html.escape(place)}</b></span></header>
<h1>{html.escape(title)}</h1>
{body}
</html>
"""
    return status, "text/html; charset=utf-8", document.encode(), {}


def whole_number(form, field, low, high):
    text = form.get(field, "")
    if not re.fullmatch(r"[0-9]{1,19}", text) or not low <= int(text) <= high:
        raise BadRequest(f"{field!r} must be a whole number from {low} to {high}")
    return int(text)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 30
    shop = None

    routes = (
        ("GET", r"/", "front"),
        ("GET", r"/products/([0-9]{1,18})", "product"),
        ("GET", r"/products/([0-9]{1,18})/image", "image"),
        ("GET", r"/orders/([0-9]{1,18})", "order"),
        ("GET", r"/healthz", "health"),
        ("GET", r"/api/summary", "summary"),
        ("POST", r"/orders", "place_order"),
    )

    def do_GET(self):
        self._answer("GET")

    do_HEAD = do_GET

    def do_POST(self):
        self._answer("POST")

    def _answer(self, method):
        try:
            answer = self._route(method)
        except NotFound as error:
            answer = page("Not found", f"<p>{html.escape(str(error))}</p>", self.shop.place, HTTPStatus.NOT_FOUND)
        except BadRequest as error:
            answer = page("That did not work", f"<p>{html.escape(str(error))}</p>", self.shop.place, HTTPStatus.BAD_REQUEST)
        except psycopg2.errors.UndefinedTable:
            answer = page("Moving in", "<p>The shop's data has not arrived yet.</p>", self.shop.place,
                          HTTPStatus.SERVICE_UNAVAILABLE)
        except psycopg2.Error as error:
            self.log_error("database: %s", str(error).strip())
            answer = page("Closed for a moment", "<p>The shop cannot reach its database.</p>", self.shop.place,
                          HTTPStatus.SERVICE_UNAVAILABLE)
        self._send(*answer)

    def _route(self, method):
        path = urlsplit(self.path).path
        # Read before anything else: what is left unread would be taken for the next request.
        form = self._form() if method == "POST" else None
        for route_method, pattern, name in self.routes:
            match = re.fullmatch(pattern, path)
            if match and route_method == method:
                arguments = [int(group) for group in match.groups()] + ([form] if method == "POST" else [])
                return getattr(self.shop, name)(*arguments)
        raise NotFound(f"there is no page {path}")

    def _form(self):
        length = self.headers.get("Content-Length", "")
        if not length.isdigit() or int(length) > MAX_FORM_BYTES:
            self.close_connection = True
            raise BadRequest(f"a form of at most {MAX_FORM_BYTES} bytes is expected")
        fields = parse_qs(self.rfile.read(int(length)).decode("utf-8", "replace"))
        return {name: values[-1] for name, values in fields.items()}

    def _send(self, status, content_type, body, headers):
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128


def main():
    try:
        database = Database(os.environ)
    except KeyError as missing:
        sys.exit(f"webshop: the environment variable {missing.args[0]} is not set")
    Handler.shop = Shop(database, os.environ.get("SHOP_PLACE") or socket.gethostname())
    address = (os.environ.get("LISTEN_HOST", "0.0.0.0"), int(os.environ.get("LISTEN_PORT", "8080")))
    server = Server(address, Handler)
    # As the first process of a container, nothing ends it on SIGTERM unless it says so.
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
    print(f"webshop: serving {Handler.shop.place} on {address[0]}:{address[1]}", file=sys.stderr, flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
