-- The catalogue of the embedded shop. Written once by embedded_build.py, then only read.
-- Columns named synthetic_... hold what the data does not have; NOTICE.md says how they are made.

CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;

-- `key` is the place in the tree, parents before children; 0 stands for the whole shop and has no row.
CREATE TABLE category (
    key INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    parent_id TEXT,
    product_count INTEGER NOT NULL
);

-- `key` is the place by popularity, `price_rank` and `name_rank` those by price and by name, ties broken by id. So every
-- order is one integer, which is the page key of lists and the rowid of the search index of that order.
CREATE TABLE product (
    key INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    category_id TEXT NOT NULL,
    brand TEXT,
    description TEXT,
    size TEXT,
    popularity INTEGER NOT NULL,
    amount_cents INTEGER NOT NULL,
    list_cents INTEGER NOT NULL,
    synthetic_units INTEGER NOT NULL,
    price_rank INTEGER NOT NULL UNIQUE,
    name_rank INTEGER NOT NULL UNIQUE
);

CREATE TABLE listing (
    category_key INTEGER NOT NULL,
    sort TEXT NOT NULL,
    rank INTEGER NOT NULL,
    product_key INTEGER NOT NULL,
    PRIMARY KEY (category_key, sort, rank)
) WITHOUT ROWID;

-- `name` holds the words of the name, `more` those of brand, size and categories, `place` a token for each category.
CREATE VIRTUAL TABLE search_popular USING fts5 (name, more, place, content = '', detail = column, columnsize = 0);
CREATE VIRTUAL TABLE search_price USING fts5 (name, more, place, content = '', detail = column, columnsize = 0);
CREATE VIRTUAL TABLE search_name USING fts5 (name, more, place, content = '', detail = column, columnsize = 0);
CREATE TABLE search_term (term TEXT PRIMARY KEY, documents INTEGER NOT NULL) WITHOUT ROWID;

CREATE TABLE coupon (
    product_id TEXT NOT NULL,
    id TEXT NOT NULL,
    campaign TEXT NOT NULL,
    valid_from TEXT NOT NULL,
    valid_until TEXT NOT NULL,
    PRIMARY KEY (product_id, id)
) WITHOUT ROWID;

CREATE TABLE customer (
    id TEXT PRIMARY KEY,
    synthetic_persona TEXT NOT NULL,
    synthetic_region TEXT NOT NULL,
    synthetic_sponsors TEXT NOT NULL, -- JSON: ids, nearest first
    top_categories TEXT NOT NULL      -- JSON: category ids, strongest first
) WITHOUT ROWID;

CREATE TABLE purchase (
    customer_id TEXT NOT NULL,
    placed_at TEXT NOT NULL,
    id TEXT NOT NULL,
    lines TEXT NOT NULL, -- JSON: [product id, quantity, cents paid]
    PRIMARY KEY (customer_id, placed_at, id)
) WITHOUT ROWID;

CREATE TABLE persona_category (
    persona TEXT NOT NULL,
    position INTEGER NOT NULL,
    category_id TEXT NOT NULL,
    PRIMARY KEY (persona, position)
) WITHOUT ROWID;

-- Region '' is everywhere, category 0 the whole shop. Lists are filled up already, so a shelf is read from one row.
CREATE TABLE shelf (
    kind TEXT NOT NULL,
    category_key INTEGER NOT NULL,
    region TEXT NOT NULL,
    product_ids TEXT NOT NULL, -- JSON: in stock only, best first
    PRIMARY KEY (kind, category_key, region)
) WITHOUT ROWID;
