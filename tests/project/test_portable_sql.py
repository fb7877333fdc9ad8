"""SQL for both engines: what DuckDB and Spark read differently stays out of models, tests and shared macros.

Left to the reader, because text does not show it: a cast of text with an offset to a timestamp (raw is typed already),
and what Jinja puts into the SQL.
"""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ENGINE_SPECIFIC = re.compile(r"\{%-?\s*macro (duckdb|spark)__.*?endmacro\s*-?%\}", re.S)
STRING = r"'(?:[^']|'')*'"
JINJA = r"""(?:"[^"]*"|'[^']*'|[^"'])*?"""
BRACKETS = r"(?:[^()]|\((?:[^()]|\((?:[^()]|\([^()]*\))*\))*\))*"

# What is wrong -> (pattern over lower-case SQL, something it finds, something it leaves alone)
RULES = {
    # read differently, without an error
    "a quote in a literal loses its meaning on Spark": (r"'[^']*[^'(,=\s]''|'''", "select 'it''s'", "nullif(x, '')"),
    "a backslash in a literal is an escape on Spark": (r"'[^']*\\[^']*'", r"x like '\d'", "x like '[0-9]'"),
    "regexp_replace replaces the first or all: regex_replace_all": (
        r"\bregexp_replace\(",
        "regexp_replace(x, 'a', 'b')",
        "replace(x, 'a', 'b')",
    ),
    "regexp_extract gives the whole or the first group: say which": (
        rf"\bregexp_extract\((?!{BRACKETS},\s*\d+\s*\))",
        "regexp_extract(f(x), 'a')",
        "regexp_extract(f(g(x)), 'a', 0)",
    ),
    "concat skips nulls or not: ||": (r"\bconcat\(", "concat(a, b)", "a || b"),
    "dayofweek counts from 0 or 1": (r"\b(dayofweek|weekday)\b", "dayofweek(d)", "day_of_month"),
    "1/0 is infinite or an error: divide by nullif(..., 0)": (
        r"/\s*(?!nullif\(|[1-9]|\s)",
        "a / b",
        "a / nullif(b, 0) + c / 100",
    ),
    "avg of decimals is a double or a decimal: avg(cast(...))": (
        r"\bavg\((?!\s*cast\()",
        "avg(x)",
        "avg(cast(x as double))",
    ),
    "date + interval is a timestamp or a date: dbt.dateadd": (r"\binterval\b", "d + interval 1 day", "interval_days"),
    "an ascending null is last or first: nulls first or nulls last": (
        None,
        "row_number() over (partition by a order by b desc, f(c, d), e desc) as n",
        "row_number() over (partition by a order by b desc, f(c, d) nulls last) as n",
    ),
    # not on Spark
    ":: is cast": (r"::", "x::date", "cast(x as date)"),
    "text, varchar and json are string": (
        r"\bas\s+(text|varchar(?!\s*\()|character varying|json)\s*\)",
        "cast(x as text)",
        "cast(x as string)",
    ),
    "timestamptz is timestamp": (
        r"\btimestamptz\b|\bwith time zone\b",
        "cast(x as timestamptz)",
        "cast(x as timestamp)",
    ),
    "no qualify": (r"\bqualify\b", "select 1 qualify n = 1", "qualified"),
    "no distinct on": (r"\bdistinct\s+on\b", "select distinct on (a) b", "select distinct a"),
    "no * exclude, replace, rename": (r"\*\s*(exclude|replace|rename)\b", "select * exclude (a)", "select a.*, b"),
    "no union by name": (r"\bunion\s+(all\s+)?by\s+name\b", "union all by name select 1", "union all select 1"),
    "no asof join": (r"\basof\b", "a asof join b", "as_of"),
    "select comes before from": (r"(?:^|\()\s*from\b", "with a as (from b)", "with a as (select 1 from b)"),
    "names are not in double quotes": (r'"', 'select "a"', "select 'a'"),
    "no -> and ->>": (r"->", "x ->> 'a'", "x - 1 > 0"),
    "no list literals and subscripts": (r"\[", "select [1, 2]", "select 'a[1]'"),
    "no unnest": (r"\bunnest\(", "unnest(x)", "nested(x)"),
    "no list functions": (r"\b(list|list_\w+|array_agg)\(", "list_contains(x, 1)", "price_list"),
    "arg_max is max_by": (r"\barg_(max|min)\(", "arg_max(a, b)", "max_by(a, b)"),
    "no string_agg": (r"\b(string_agg|group_concat|listagg)\(", "string_agg(a, ',')", "max(a)"),
    "no quantiles": (r"\b(quantile\w*|percentile_\w+)\(", "quantile_cont(x, 0.5)", "median(x)"),
    "date_diff is dbt.datediff": (r"\b(date_?diff|date_?add|date_?sub)\(", "date_diff('day', a, b)", "dbt_datediff"),
    "no strftime, epoch": (r"\b(strftime|strptime|epoch\w*)\(", "epoch(x)", "epoch_count"),
    "~ is dispatched": (r"(?<!!)~|!~", "x ~ 'a'", "x like '~'"),
    "regexp_matches is dispatched": (
        r"\bregexp_(full_)?match(es)?\(",
        "regexp_matches(x, 'a')",
        "regexp_extract(x, 'a', 0)",
    ),
    "row_number needs an order": (
        r"\b(row_number|rank)\(\)\s*over\s*\(\s*\)",
        "row_number() over ()",
        "count(*) over ()",
    ),
    "no sum of booleans": (r"\bsum\((?!\s*case\b)\s*(is_|has_|[^()]*[=<>])", "sum(is_open)", "count_if(is_open)"),
}


def portable_text(text):
    """The SQL of a file that both engines read: without comments, Jinja and the macros of one engine."""
    text = ENGINE_SPECIFIC.sub("", text)
    text = re.sub(r"\{#.*?#\}|--[^\n]*", "", text, flags=re.S)
    text = re.sub(r"\{\{" + JINJA + r"\}\}", "jinja", text, flags=re.S)
    return re.sub(r"\{%" + JINJA + r"%\}", " ", text, flags=re.S).lower()


def ascending_terms_without_null_order(sql):
    """The terms of every `order by`: those that neither descend nor say where nulls go."""
    for clause in re.finditer(r"\border\s+by\s+", sql):
        depth, term, terms = 0, "", []
        for character in sql[clause.end() :]:
            depth += {"(": 1, ")": -1}.get(character, 0)
            if depth < 0:
                break
            if character == "," and depth == 0:
                terms.append(term)
                term = ""
            else:
                term += character
        for each in [*terms, term]:
            each = re.split(r"\b(?:rows|range)\s+between\b|\blimit\b", each)[0]
            if "jinja" not in each and not re.search(r"\bdesc\b|\bnulls\s+(first|last)\b", each):
                yield each.strip()


def finds(rule, sql):
    """What a rule finds in SQL, or nothing."""
    pattern = RULES[rule][0]
    if pattern is None:
        return next(ascending_terms_without_null_order(sql), None)
    about_literals = "literal loses" in rule or "literal is" in rule
    found = re.search(pattern, sql if about_literals else re.sub(STRING, "''", sql))
    return found and found.group()


@pytest.mark.parametrize("rule", RULES)
def test_a_rule_finds_what_it_forbids_and_nothing_else(rule):
    _, forbidden, allowed = RULES[rule]
    assert finds(rule, forbidden)
    assert not finds(rule, allowed)


def test_only_the_macros_of_one_engine_are_exempt():
    macro = "{% macro {}f(x) %} {{{{ x }}}}::date {% endmacro %}"
    assert "::" in portable_text(macro.replace("{}", "default__"))
    assert "::" in portable_text(macro.replace("{}", ""))
    assert "::" not in portable_text(macro.replace("{}", "duckdb__"))


@pytest.mark.parametrize("folder", ["models", "macros", "tests/singular", "tests/generic"])
def test_sql_reads_the_same_on_both_engines(folder):
    problems = []
    for path in sorted((ROOT / folder).rglob("*.sql")):
        sql = portable_text(path.read_text())
        problems += [f"{path.relative_to(ROOT)}: {rule}: {found}" for rule in RULES if (found := finds(rule, sql))]
    assert not problems, "\n".join(problems)


def test_models_do_not_ask_for_the_engine():
    for path in (ROOT / "models").rglob("*.sql"):
        assert not re.search(r"\btarget\.(type|name)\b|adapter\.type", path.read_text()), path
