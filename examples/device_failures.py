"""Which machines will fail within a week? A baseline model on an exported training set, beside two naive answers.

    pip install scikit-learn==1.9.1
    python examples/device_failures.py 2026-08-15 2026-09-20

exports a row per device and day, trains a logistic regression on the earlier days, and asks it about the later ones.
In between are as many days as a label looks ahead, so that no window of the training is still open when the test
begins. Both scores are of the order in which devices are put: ROC AUC is 0.5 by chance, and average precision is then
the share of failures.
"""

import sys
import tempfile
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score, roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

sys.path.insert(0, str(Path(__file__).parents[1]))
from ingestion.errors import ConfigurationError
from ingestion.export import KEYS, Label, export

LABEL = Label("has_failure", 7)
TRAINED = 0.6
"""Share of the days that the model is trained on."""


def main(first: date, last: date) -> None:
    """Prints the scores of a model that is trained on the earlier of these days, and tested on the later ones."""
    days = [first + timedelta(days=number) for number in range((last - first).days + 1)]
    with tempfile.TemporaryDirectory() as folder:
        export("devices", [day.isoformat() for day in days], LABEL, Path(folder))
        table = pq.read_table(Path(folder) / "devices.parquet")
    names = [name for name in table.column_names if name not in (*KEYS, LABEL.name)]
    features = np.column_stack([table[name].cast("float64").to_numpy() for name in names])
    labels, moments = table[LABEL.name].to_numpy(), table["as_of_at"].to_numpy()

    times = np.unique(moments)
    until = times[int(TRAINED * len(times))]
    is_train = moments < until
    is_test = moments >= until + np.timedelta64(LABEL.horizon_days, "D")
    for what, rows in (("trained", is_train), ("tested", is_test)):
        print(f"{what} on {rows.sum():,} rows of {len(np.unique(moments[rows]))} days: {labels[rows].mean():.0%} fail")

    # What is missing is told by a column of its own.
    model = make_pipeline(
        SimpleImputer(strategy="median", add_indicator=True), StandardScaler(), LogisticRegression(C=0.1, max_iter=1000)
    )
    model.fit(features[is_train], labels[is_train])
    answers = {
        "the same for all": np.zeros(len(labels)),
        "who failed most often in 28 days": features[:, names.index("limit_alert_count_28d")],
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
