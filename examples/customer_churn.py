"""Which customers will not order within 30 days? A baseline model on an exported training set, beside naive answers.

    pip install scikit-learn==1.9.1
    python examples/customer_churn.py 2026-04-01 2026-08-31

exports a row per account and week, of those that ever ordered, trains a logistic regression on the earlier weeks, and
asks it about the later ones. In between are as many days as a label looks ahead, so that no window of the training is
still open when the test begins. Both scores are of the order in which accounts are put: ROC AUC is 0.5 by chance, and
average precision is then the share of those who do not order.
"""

import sys
import tempfile
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
from baseline import compare
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

sys.path.insert(0, str(Path(__file__).parents[1]))
from ingestion.errors import ConfigurationError
from ingestion.export import KEYS, Label, export

LABEL = Label("has_order", 30)
STEP = 7
"""Every how many days accounts are asked about: from one day to the next little changes."""


def main(first: date, last: date) -> None:
    """Prints the scores of a model that is trained on the earlier of these days, and tested on the later ones."""
    days = [first + timedelta(days=number) for number in range(0, (last - first).days + 1, STEP)]
    with tempfile.TemporaryDirectory() as folder:
        export("customers", [day.isoformat() for day in days], LABEL, Path(folder))
        table = pq.read_table(Path(folder) / "customers.parquet")
    table = table.filter(pc.is_valid(table["days_since_order"]))
    names = [name for name in table.column_names if name not in (*KEYS, LABEL.name)]
    features = np.column_stack([table[name].cast("float64").to_numpy() for name in names])
    labels, moments = ~table[LABEL.name].to_numpy(), table["as_of_at"].to_numpy()

    # Counts, amounts and days grow by orders of magnitude. What is missing is told by a column of its own.
    model = make_pipeline(
        SimpleImputer(strategy="median", add_indicator=True),
        FunctionTransformer(np.log1p),
        StandardScaler(),
        LogisticRegression(C=0.1, max_iter=1000),
    )
    since, in_gaps = (features[:, names.index(name)] for name in ("days_since_order", "days_since_order_in_gaps"))
    naive = {
        "who has not ordered for longest": since,
        "longest, in the account's own gaps": np.where(np.isnan(in_gaps), np.nanmedian(in_gaps), in_gaps),
    }
    compare(model, names, features, labels, moments, LABEL.horizon_days, naive)


if __name__ == "__main__":
    try:
        main(*(date.fromisoformat(text) for text in sys.argv[1:]))
    except ConfigurationError as error:
        sys.exit(str(error))
