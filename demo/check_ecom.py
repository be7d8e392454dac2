"""The figures that the starter rulebook must show for ecom.csv.gz, from the raw file: `python demo/check_ecom.py`."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
from figures import Deed, figures, print_figures

FILE = Path(__file__).parent / "ecom.csv.gz"

WHAT = {
    "home": "page",
    "promo_page": "page",
    "account_page": "page",
    "review_page": "page",
    "error_page": "page",
    "catalog": "list",
    "filter_results": "filter",
    "search": "search",
    "product_view": "view",
    "wishlist_add": "wishlist",
    "add_to_cart": "add",
    "cart": "cart",
    "shipping_details": "checkout",
    "payment_details": "payment",
    "purchase": "purchase",
    "payment_error": "refused",
    # Nothing in the starter rulebook looks at these.
    "compare": "other",
    "support_chat": "other",
    "checkout_bug": "other",
}


def people(file: Path = FILE) -> dict[str, list[Deed]]:
    """Who did what: each row is a deed, in the order of time, and of the file where times are the same."""
    table = pd.read_csv(file)
    table["at"] = pd.to_datetime(table["timestamp"], utc=True).map(lambda when: int(when.timestamp()) * 1000)
    table["what"] = table["event"].map(WHAT)
    if table["what"].isna().any():
        raise ValueError("there is an event that WHAT does not list")
    table = table.sort_values("at", kind="stable")
    return {
        str(user): [Deed(at, what) for at, what in zip(rows["at"], rows["what"], strict=True)]
        for user, rows in table.groupby("user_id")
    }


if __name__ == "__main__":
    print_figures(figures(people()))
