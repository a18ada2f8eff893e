"""Adds up an invoice: {"mail": "me@example.org", "lines": [{"sku": "a", "quantity": 2, "price": "1.25"}]}"""

import re
from collections import Counter
from dataclasses import dataclass
from decimal import Decimal

MAIL = re.compile(r"[\w.+-]+@([\w-]+\.)+[a-z]{2,}", re.IGNORECASE)


@dataclass
class Line:
    sku: str
    quantity: int
    price: str

    @property
    def total(self):
        return Decimal(self.price) * self.quantity


def handle(input):
    if not MAIL.fullmatch(input["mail"]):
        raise ValueError(f"not a mail address: {input['mail']!r}")
    lines = [Line(**line) for line in input["lines"]]
    counted = Counter()
    for line in lines:
        counted[line.sku] += line.quantity
    print(f"invoice of {len(lines)} lines")
    return {"total": str(sum(line.total for line in lines)), "quantities": counted}
