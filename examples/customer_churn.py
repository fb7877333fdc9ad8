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
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score, roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

sys.path.insert(0, str(Path(__file__).parents[1]))
from ingestion.errors import ConfigurationError
from ingestion.export import KEYS, Label, export

LABEL = Label("has_order", 30)
TRAINED = 0.6
"""Share of the days that the model is trained on."""
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

    times = np.unique(moments)
    until = times[int(TRAINED * len(times))]
    is_train = moments < until
    is_test = moments >= until + np.timedelta64(LABEL.horizon_days, "D")
    for what, rows in (("trained", is_train), ("tested", is_test)):
        print(f"{what} on {rows.sum():,} rows of {len(np.unique(moments[rows]))} days: {labels[rows].mean():.0%} churn")

    # Counts, amounts and days grow by orders of magnitude. What is missing is told by a column of its own.
    model = make_pipeline(
        SimpleImputer(strategy="median", add_indicator=True),
        FunctionTransformer(np.log1p),
        StandardScaler(),
        LogisticRegression(C=0.1, max_iter=1000),
    )
    model.fit(features[is_train], labels[is_train])
    since, in_gaps = (features[:, names.index(name)] for name in ("days_since_order", "days_since_order_in_gaps"))
    answers = {
        "the same for all": np.zeros(len(labels)),
        "who has not ordered for longest": since,
        "longest, in the account's own gaps": np.where(np.isnan(in_gaps), np.nanmedian(in_gaps[is_train]), in_gaps),
        "logistic regression": model.predict_proba(features)[:, 1],
    }
    print(f"\n{'':<36}ROC AUC   average precision")
    for name, scores in answers.items():
        of_test = labels[is_test], scores[is_test]
        print(f"{name:<36}{roc_auc_score(*of_test):>7.3f}{average_precision_score(*of_test):>20.3f}")

    weights = dict(zip(names, model[-1].coef_[0], strict=False))
    print("\nwhat counts most, per standard deviation:")
    for name in sorted(weights, key=lambda each: -abs(weights[each]))[:5]:
        print(f"  {name:<34}{weights[name]:>7.2f}")


if __name__ == "__main__":
    try:
        main(*(date.fromisoformat(text) for text in sys.argv[1:]))
    except ConfigurationError as error:
        sys.exit(str(error))
