"""The shop's products: read from files and databases within bounds, found quickly, kept in little memory."""

import json
import sqlite3
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from triggerfish.adapters.catalog import reading, rows
from triggerfish.adapters.catalog.products import Products
from triggerfish.adapters.catalog.reading import MOST_TOLD, CatalogSource, read_catalog
from triggerfish.adapters.catalog.watching import CatalogWatch, keep_copy

CSV = '''id,name,price,stock,is_new,code
1,Kettle,39,5,true,007
2,"Lamp, ""small""",60.5,0,false,12
A-3,Sofa,,7,true,
'''


def read(folder: Path, text: str | bytes, name: str = "catalog.csv", **more: str) -> tuple[Products, list[str]]:
    """The products, and each problem's first line."""
    (folder / name).write_bytes(text.encode() if isinstance(text, str) else text)
    products, problems = read_catalog(CatalogSource(folder / name, name, **more))
    return products, [problem.render().splitlines()[0] for problem in problems]


def test_a_column_of_numbers_alone_holds_numbers_and_the_key_is_a_text(tmp_path: Path) -> None:
    products, problems = read(tmp_path, CSV)
    assert problems == []
    assert products.find("1") == {"id": "1", "name": "Kettle", "price": 39, "stock": 5, "is_new": True, "code": "007"}
    assert products.find(2) == {
        "id": "2", "name": 'Lamp, "small"', "price": 60.5, "stock": 0, "is_new": False, "code": "12"
    }  # fmt: skip
    assert products.find("A-3") == {"id": "A-3", "name": "Sofa", "stock": 7, "is_new": True}
    assert products.find("4") is products.find(None) is products.find({}) is None


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_spreadsheets_part_columns_in_their_own_way(tmp_path: Path, delimiter: str) -> None:
    text = "\ufeff" + delimiter.join(("id", "name")) + "\r\n" + delimiter.join(("1", "Käse")) + "\r\n"
    products, problems = read(tmp_path, text)
    assert (products.find(1), problems) == ({"id": "1", "name": "Käse"}, [])


def test_json_lines_hold_whatever_json_holds(tmp_path: Path) -> None:
    lines = [{"id": 7, "tags": ["a", "b"], "size": {"w": 1.5}}, {"id": "x", "name": "X", "gone": None, "note": ""}]
    products, problems = read(tmp_path, "\n\n".join(map(json.dumps, lines)), "c.jsonl")
    assert problems == []
    assert products.find(7.0) == lines[0]
    assert products.find("x") == {"id": "x", "name": "X"}


def test_products_are_found_by_a_columns_value_in_order(tmp_path: Path) -> None:
    lines = [{"id": n, "cat": "shoes" if n % 2 else ["hats", "new"], "size": n % 3} for n in range(300)]
    find = read(tmp_path, "\n".join(map(json.dumps, lines)), "c.jsonl")[0].filters()["products_where"]
    assert [each["id"] for each in find("shoes", "cat", 3)] == [1, 3, 5]
    assert [each["id"] for each in find("new", "cat", 3, without=[0, "4"])] == [2, 6, 8]
    assert [each["id"] for each in find("2", "size", 2, without=2)] == [5, 8]
    assert len(find("shoes", "cat")) == 10
    assert find("socks", "cat") == find(None, "cat") == []


def test_a_list_of_keys_gives_the_products_that_there_are(tmp_path: Path) -> None:
    find = read(tmp_path, CSV)[0].filters()["product"]
    assert [each["name"] for each in find(["A-3", "gone", 1])] == ["Sofa", "Kettle"]
    assert find([]) == []


@pytest.mark.parametrize(
    ("text", "name", "told"),
    [
        ("", "c.csv", "c.csv:1:1  TF339  the first line of the catalogue names its columns"),
        ("sku,name\n1,a\n", "c.csv", 'c.csv:1:1  TF339  there is no column "id"'),
        ("id,id\n1,a\n", "c.csv", "c.csv:1:1  TF339  each column has a name of its own"),
        ("id,name\n1,a\n2\n", "c.csv", "c.csv:3:1  TF339  this row has 1 values, and there are 2 columns"),
        ('id,name\n1,"a\n', "c.csv", "c.csv:2:1  TF339  this is no CSV: unexpected end of data"),
        ("id,name\n1,a\n ,b\n", "c.csv", 'c.csv:3:1  TF339  there is no "id" here'),
        ("id,name\n1,a\n1,b\n", "c.csv", 'c.csv:3:1  TF339  the id "1" is here again'),
        (b"id,name\n1,\xff\n", "c.csv", "c.csv:2:1  TF339  this is no UTF-8 text"),
        (b"id,name\n1,\0\n", "c.csv", "c.csv:2:1  TF339  this is no text: it has a NUL byte"),
        ("id,name\n1," + "x" * 70_000, "c.csv", "c.csv:2:1  TF339  a line of more than 64 KB"),
        ("id,name\n1," + "x" * 40_000, "c.csv", "c.csv:2:1  TF339  a product of more than 32 KB"),
        ('{"id": 1}\n{"id": 2', "c.jsonl", "c.jsonl:2:1  TF339  this is no JSON: Input data was truncated"),
        ("[1]", "c.jsonl", "c.jsonl:1:1  TF339  this is no object"),
        ('{"id": 1, "a": ' + "[" * 20_000 + "]" * 20_000 + "}", "c.jsonl", "c.jsonl:1:1  TF339  this is no JSON"),
        ('{"id": 1, "n": 123456789012345678901234567890}', "c.jsonl", "c.jsonl:1:1  TF339  a value cannot be kept"),
        ('{"id": {}}', "c.jsonl", 'c.jsonl:1:1  TF339  there is no "id" here'),
        (json.dumps({"id": 1} | {f"c{n}": n for n in range(101)}), "c.jsonl", "c.jsonl:1:1  TF339  there are more"),
        ("id", "c.xlsx", "c.xlsx  TF338  a catalogue is a .csv or .jsonl file"),
    ],
)
def test_what_is_wrong_is_told_at_its_line(tmp_path: Path, text: str | bytes, name: str, told: str) -> None:
    problems = read(tmp_path, text, name)[1]
    assert problems
    assert problems[0].startswith(told)


def test_a_missing_file_and_a_folder_are_told(tmp_path: Path) -> None:
    (tmp_path / "folder.csv").mkdir()
    for name, told in (("gone.csv", "there is no such file"), ("folder.csv", "cannot be read: Is a directory")):
        _, problems = read_catalog(CatalogSource(tmp_path / name, name))
        assert [problem.code for problem in problems] == ["TF338"]
        assert told in problems[0].sentence


def test_a_catalogue_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "MOST_PRODUCTS", 100)
    assert read(tmp_path, "id\n" + "\n".join(map(str, range(100))))[1] == []
    assert "too large" in read(tmp_path, "id\n" + "\n".join(map(str, range(101))))[1][0]
    monkeypatch.setattr(reading, "LARGEST_CATALOG", 1_000)
    assert "larger than" in read(tmp_path, "id\n" + "x" * 1_000)[1][0]
    assert len(read(tmp_path, "id\n" + "1\n" * 100)[1]) == MOST_TOLD
    assert rows.LARGEST_ROW < rows.LARGEST_CATALOG


# --- databases --------------------------------------------------------------------------------------------------------


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    path = tmp_path / "shop.sqlite3"
    with sqlite3.connect(path) as base:
        base.execute("CREATE TABLE products (sku TEXT, name TEXT, price REAL, stock INTEGER, photo BLOB)")
        base.executemany(
            "INSERT INTO products VALUES (?, ?, ?, ?, ?)",
            [("A", "Kettle", 39.5, 3, b"x"), ("B", None, 5, 0, b"x"), ("C", "Lamp", 60, 1, b"x")],
        )
    base.close()
    return path


def test_a_query_gives_products(shop: Path) -> None:
    query = "SELECT sku, upper(name) AS name, price FROM products ORDER BY price DESC"
    products, problems = read_catalog(CatalogSource(shop, "shop.sqlite3", "sku", query))
    assert problems == []
    assert len(products) == 3
    assert (products.find("A"), products.find("B")) == (
        {"sku": "A", "name": "KETTLE", "price": 39.5},
        {"sku": "B", "price": 5.0},
    )


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("DELETE FROM products", "not authorized"),
        ("DROP TABLE products", "not authorized"),
        ("ATTACH DATABASE '/tmp/x' AS x", "not authorized"),
        ("PRAGMA query_only = 0", "not authorized"),
        ("SELECT load_extension('x')", "not authorized"),
        ("SELECT sku FROM products; SELECT 1", "one statement at a time"),
        ("SELECT * FROM gone", "no such table"),
        ("SELECT name FROM products", 'gives no column "sku"'),
        ("SELECT sku, sku FROM products", "two columns have the same name"),
        ("SELECT * FROM products", '"photo" holds bytes (row 1)'),
        ("SELECT 'A' AS sku FROM products", 'the sku "A" is here again (row 2)'),
        ("SELECT NULL AS sku", 'there is no "sku" here (row 1)'),
    ],
)
def test_a_query_reads_and_does_nothing_else(shop: Path, query: str, told: str) -> None:
    before = shop.read_bytes()
    _, problems = read_catalog(CatalogSource(shop, "shop.sqlite3", "sku", query))
    assert told in problems[0].sentence
    assert {problem.line for problem in problems} == {0}
    assert shop.read_bytes() == before


def test_a_query_has_its_time(shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from triggerfish.adapters.catalog import query

    monkeypatch.setattr(query, "SECONDS", 0.2)
    endless = "WITH RECURSIVE n(sku) AS (SELECT 1 UNION ALL SELECT sku + 1 FROM n) SELECT max(sku) AS sku FROM n"
    _, problems = read_catalog(CatalogSource(shop, "shop.sqlite3", "sku", endless))
    assert "takes longer than" in problems[0].sentence


def test_what_is_no_database_is_told(tmp_path: Path) -> None:
    (tmp_path / "x.sqlite3").write_text("no database at all, whatever its name says" * 10)
    for name in ("x.sqlite3", "gone.sqlite3"):
        _, problems = read_catalog(CatalogSource(tmp_path / name, name, "id", "SELECT id FROM products"))
        assert [problem.code for problem in problems] == ["TF338"]


# --- memory, changes, texts of any kind -------------------------------------------------------------------------------


def test_many_products_take_little_memory(tmp_path: Path) -> None:
    line = "{n},Moss Enamel Kettle No {n},39.5,kitchen,https://shop.example/p/{n}"
    path = tmp_path / "c.csv"
    path.write_text("id,name,price,category,url\n" + "\n".join(line.replace("{n}", str(n)) for n in range(4_000)))
    tracemalloc.start()
    products, problems = read_catalog(CatalogSource(path, "c.csv"))
    taken, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (len(products), problems) == (4_000, [])
    assert taken / len(products) < 400  # a dict of five values takes 700 bytes and more


def test_a_changed_file_counts_at_once_and_a_changed_database_now_and_then(tmp_path: Path) -> None:
    path = tmp_path / "c.csv"
    now = 0.0
    watches = [CatalogWatch(path), CatalogWatch(path, 60.0, lambda: now)]
    states = [[watch.stamp() for watch in watches]]
    for text, at in (("id\n", 61.0), ("id\n1\n", 62.0), ("id\n1\n2\n", 130.0)):
        path.write_text(text)
        now = at
        states.append([watch.stamp() for watch in watches])
    files, databases = zip(*states, strict=True)
    assert len(set(files)) == 4
    assert len(set(databases)) == 3
    assert databases[1] == databases[2]
    assert CatalogWatch(None).stamp() == ()


def test_a_copy_of_the_file_is_kept(tmp_path: Path) -> None:
    (tmp_path / "c.csv").write_text(CSV)
    keep_copy(tmp_path / "c.csv", tmp_path / "kept")
    keep_copy(tmp_path / "gone.csv", tmp_path / "nothing")
    assert (tmp_path / "kept" / "c.csv").read_text() == CSV
    assert not (tmp_path / "nothing").exists()


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(-1e9, 1e9) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(st.lists(st.dictionaries(st.sampled_from(["name", "price", "tags", "x"]), VALUES, max_size=4), max_size=6))
def test_what_is_kept_is_found_again(products: list[dict[str, Any]]) -> None:
    kept = Products()
    for number, product in enumerate(products):
        kept.add(str(number), product)
    for number, product in enumerate(products):
        usable = {name: value for name, value in product.items() if value is not None and value != ""}
        assert kept.find(number) == usable


@settings(max_examples=80, deadline=None)
@given(st.binary(max_size=300), st.sampled_from(["c.csv", "c.jsonl"]))
def test_no_file_is_more_than_problems(tmp_path_factory: pytest.TempPathFactory, content: bytes, name: str) -> None:
    products, problems = read(tmp_path_factory.getbasetemp(), b"id,a\n" + content, name)
    assert name != "c.jsonl" or problems  # its first line is no JSON
    assert len(products) == 0 or products.columns[0] == "id"
