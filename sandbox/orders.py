"""What happens in the shop day by day: orders from the basket to the refund, and subscriptions.

The shop's books balance at any moment: order_total = items + tax + shipping - discount, the captured payments of a
paid, shipped or delivered order are its total, and no payment is refunded beyond its amount.
"""

from collections import defaultdict
from datetime import datetime, timedelta
from decimal import Decimal

from sandbox.accounts import Accounts
from sandbox.simulation import FIRST_DAY, Row
from sandbox.vocabulary import COUNTRIES, DECIMALS, PRICE_BOOK, REFUND_REASONS


class Orders(Accounts):
    """Orders with their items, payments and refunds; subscriptions that order by themselves."""

    def __init__(self, seed: int, scale: float, dirt: float) -> None:
        super().__init__(seed, scale, dirt)
        self.late_orders: list[int] = []
        self.web_orders: list[Row] = []  # today's
        self._items_of: dict[int, list[Row]] = defaultdict(list)
        self._payments_of: dict[int, list[Row]] = defaultdict(list)
        self._country_of: dict[int, str] = {}
        self._pending: dict[int, Row] = {}  # orders on invoice

    def _order(self, at: datetime) -> None:
        """One order in the shop: of an account or of a guest, on time or late from a pop-up till."""
        customer_id = None if self.dirt.pick("guest_order") else self.rng.choice(self._customer_pool)
        late = self.today > FIRST_DAY + timedelta(days=2) and self.dirt.pick("late_order") is not None
        if late:
            at -= timedelta(seconds=self.rng.randrange(3600, 48 * 3600))
            if customer_id:  # never before the account was opened
                at = max(at, self.shop["customers"][customer_id]["created_at"] + timedelta(minutes=1))
        country = self.person_of[customer_id].country if customer_id else self.rng.choice(list(COUNTRIES))
        is_business = customer_id is not None and self.shop["customers"][customer_id]["is_business"]
        size = self.rng.choices([1, 2, 3, 4, 5], [25, 28, 22, 15, 10])[0]
        chosen = self.rng.choices(self._products, cum_weights=self._popularity, k=size)
        percent = self.rng.choice([10, 15, 20]) if self.rng.random() < 0.12 else 0
        lines = []
        for product in {product["product_id"]: product for product in chosen}.values():
            quantity = self.rng.choices([1, 2, 3], [70, 22, 8])[0]
            if is_business and product["category"] == "coffee":
                quantity *= self.rng.randint(2, 8)
            lines.append((product, quantity, self._price(product, COUNTRIES[country].currency)))
        order = self._place(at, customer_id, country, lines, percent)
        self._pay(order, delivered=late)
        if late:
            self.late_orders.append(order["order_id"])
        else:
            self.web_orders.append(order)

    def _place(self, at: datetime, customer_id: int | None, country: str, lines: list[tuple], percent: int = 0) -> Row:
        """Adds an order with its `lines` of (product, quantity, unit price), `percent` off each."""
        currency = COUNTRIES[country].currency
        addresses = self._addresses_of.get(customer_id, [])
        order = self._add(
            "orders", order_number=f"W{self._numbers['orders'] + 1:07d}", customer_id=customer_id,
            billing_address_id=addresses[0]["address_id"] if addresses else None,
            shipping_address_id=addresses[-1]["address_id"] if addresses else None, order_status="pending",
            currency=self.dirt.currency(currency), discount_total=None, shipping_total=None, tax_total=None,
            order_total=None, coupon_code=f"SAVE{percent}" if percent else None, ordered_at=at, updated_at=at,
        )  # fmt: skip
        key = order["order_id"]
        self._orders_of[customer_id].append(order)
        self._country_of[key] = country
        for product, quantity, price in lines:
            item = self._add(
                "order_items", order_id=key, product_id=product["product_id"], quantity=quantity, unit_price=price,
                unit_discount=round(price * percent / 100, DECIMALS.get(currency, 2)), created_at=at, updated_at=at,
            )  # fmt: skip
            self._items_of[key].append(item)
        order.update(self._totals(key))
        return order

    def _totals(self, order_id: int) -> Row:
        """The order's amounts from its items: the accounting identities of the shop."""
        facts, items = COUNTRIES[self._country_of[order_id]], self._items_of[order_id]
        digits, level = DECIMALS.get(facts.currency, 2), Decimal(PRICE_BOOK[facts.currency])
        goods = sum(item["quantity"] * item["unit_price"] for item in items)
        discount = sum(item["quantity"] * item["unit_discount"] for item in items)
        shipping = Decimal(0) if goods >= 60 * level else round(Decimal("4.90") * level, digits)
        tax = round((goods - discount + shipping) * facts.tax_rate, digits)
        return {"discount_total": discount, "shipping_total": shipping, "tax_total": tax,
                "order_total": goods + tax + shipping - discount}  # fmt: skip

    def _pay(self, order: Row, delivered: bool = False) -> None:
        """Pays at once, or on invoice some days later; an order paid at a till is `delivered` with it."""
        at, total = order["ordered_at"] + timedelta(seconds=self.rng.randrange(30, 300)), order["order_total"]
        method = self.rng.choices(["card", "paypal", "invoice"], [60, 25, 15])[0]
        if method == "invoice" and not delivered:
            self._payment(order, method, "authorized", total, order["ordered_at"])
            self._pending[order["order_id"]] = order
            self._later((1, 3), self._settle, order)
            return
        method = "card" if method == "invoice" else method
        if self.rng.random() < 0.05:
            self._payment(order, method, "failed", total, at - timedelta(seconds=20))
        voucher = Decimal(5) if total > 10 and self.rng.random() < 0.03 else Decimal(0)
        if voucher:
            self._payment(order, "gift_card", "captured", voucher, at)
        self._payment(order, method, "captured", total - voucher, at)
        self._touch(order, at, order_status="delivered" if delivered else "paid")
        if not delivered:
            self._later((1, 2), self._cancel if self.rng.random() < 0.02 else self._ship, order)

    def _payment(self, order: Row, method: str, status: str, amount: Decimal, at: datetime) -> None:
        reference = None if method in ("invoice", "gift_card") else f"pi_{self.rng.getrandbits(48):012x}"
        payment = self._add(
            "payments", order_id=order["order_id"], payment_method=method, payment_status=status,
            currency=COUNTRIES[self._country_of[order["order_id"]]].currency, amount=amount,
            provider_reference=reference, paid_at=at if status == "captured" else None, updated_at=at,
        )  # fmt: skip
        self._payments_of[order["order_id"]].append(payment)

    def _settle(self, order: Row) -> None:
        """An invoice is paid, or never will be."""
        del self._pending[order["order_id"]]
        (payment,) = self._payments_of[order["order_id"]]
        if self.rng.random() < 0.06:
            self._touch(order, self._touch(payment, payment_status="failed"), order_status="cancelled")
            return
        at = self._touch(payment, payment_status="captured")
        payment["paid_at"] = at
        self._touch(order, at, order_status="paid")
        self._later((1, 2), self._ship, order)

    def _ship(self, order: Row) -> None:
        self._touch(order, order_status="shipped")
        self._later((1, 5), self._deliver, order)

    def _deliver(self, order: Row) -> None:
        self._touch(order, order_status="delivered")
        if self.rng.random() < 0.05:
            self._later((2, 14), self._refund, order)

    def _refund(self, order: Row) -> None:
        """One item comes back, or a tenth of the payment as goodwill; never more than was captured."""
        payment = max(self._captured(order), key=lambda payment: payment["amount"])
        item = self.rng.choice(self._items_of[order["order_id"]]) if self.rng.random() < 0.7 else None
        amount = round(payment["amount"] / 10, DECIMALS.get(payment["currency"], 2))
        if item:
            amount = item["quantity"] * (item["unit_price"] - item["unit_discount"])
        self._pay_back(order, payment, min(amount, payment["amount"]), item, self.rng.choice(REFUND_REASONS))

    def _cancel(self, order: Row) -> None:
        """A paid order is cancelled: all of it is paid back."""
        for payment in self._captured(order):
            self._pay_back(order, payment, payment["amount"], None, "order cancelled")
        self._touch(order, order_status="cancelled")

    def _captured(self, order: Row) -> list[Row]:
        return [p for p in self._payments_of[order["order_id"]] if p["payment_status"] == "captured"]

    def _pay_back(self, order: Row, payment: Row, amount: Decimal, item: Row | None, reason: str | None) -> None:
        at = self._time()
        self._add("refunds", payment_id=payment["payment_id"], order_id=order["order_id"],
                  order_item_id=item and item["order_item_id"], currency=payment["currency"], amount=amount,
                  reason=reason, refunded_at=at, updated_at=at)  # fmt: skip

    def _delete_item(self) -> None:
        """A line is taken out of an order that is not paid yet; its totals and its payment follow."""
        orders = [order for key, order in self._pending.items() if len(self._items_of[key]) > 1]
        if not orders:
            self._later((1, 1), self._delete_item)
            return
        order = self.rng.choice(orders)
        items = self._items_of[order["order_id"]]
        self._delete("order_items", items.pop(self.rng.randrange(len(items))))
        at = self._touch(order, **self._totals(order["order_id"]))
        self._touch(self._payments_of[order["order_id"]][0], at, amount=order["order_total"])

    def _subscribe(self, customer: Row) -> None:
        at = customer["created_at"]
        coffees = [product for product in self.shop["products"].values() if product["category"] == "coffee"]
        product, interval = self.rng.choice(coffees), self.rng.choice([14, 28, 42])
        currency = COUNTRIES[self.person_of[customer["customer_id"]].country].currency
        price = round(self._price(product, currency) * Decimal("0.9"), DECIMALS.get(currency, 2))
        subscription = self._add(
            "subscriptions", customer_id=customer["customer_id"], product_id=product["product_id"],
            subscription_status="active", quantity=self.rng.randint(1, 3), interval_days=interval, currency=currency,
            unit_price=price, started_at=at, cancelled_at=None, next_order_date=None, updated_at=at,
        )  # fmt: skip
        self._plan(subscription)

    def _plan(self, subscription: Row) -> None:
        interval = subscription["interval_days"]
        subscription["next_order_date"] = self.today + timedelta(days=interval)
        self._later((interval, interval), self._renew, subscription)

    def _renew(self, subscription: Row) -> None:
        """A delivery is due: it is ordered, or the subscription is cancelled, paused or taken up again."""
        if subscription["subscription_id"] not in self.shop["subscriptions"]:
            return  # erased with its customer
        chance = self.rng.random()
        if subscription["subscription_status"] == "active" and chance < 0.04:
            at = self._touch(subscription, subscription_status="cancelled", next_order_date=None)
            subscription["cancelled_at"] = at
        elif subscription["subscription_status"] == "active" and chance < 0.07:
            self._touch(subscription, subscription_status="paused", next_order_date=None)
            self._later((28, 28), self._renew, subscription)
        else:
            at, customer_id = self._touch(subscription, subscription_status="active"), subscription["customer_id"]
            product = self.shop["products"][subscription["product_id"]]
            lines = [(product, subscription["quantity"], subscription["unit_price"])]
            self._pay(self._place(at, customer_id, self.person_of[customer_id].country, lines))
            self._plan(subscription)
