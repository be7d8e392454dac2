"""The figures that the starter rulebook must show for cdnow.txt.gz, from the raw file: `python demo/check_cdnow.py`."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pandas as pd
from figures import HOUR, MINUTE, Deed, figures, print_figures

FILE = Path(__file__).parent / "cdnow.txt.gz"


def people(file: Path = FILE) -> dict[str, list[Deed]]:
    """Who bought when: at 12:00 UTC of the day, the second order of a customer and day at 12:01, and so on."""
    table = pd.read_csv(file, sep=r"\s+", dtype=str)
    day = pd.to_datetime(table["date"], format="%Y%m%d", utc=True).map(lambda when: int(when.timestamp()) * 1000)
    table["at"] = day + 12 * HOUR + table.groupby(["customer_id", "date"]).cumcount() * MINUTE
    table["cents"] = table["dollar_value"].map(lambda dollars: int(Decimal(dollars) * 100))
    table = table.sort_values("at", kind="stable")
    return {
        str(customer): [Deed(at, "purchase", cents) for at, cents in zip(rows["at"], rows["cents"], strict=True)]
        for customer, rows in table.groupby("customer_id")
    }


if __name__ == "__main__":
    print_figures(figures(people()))
