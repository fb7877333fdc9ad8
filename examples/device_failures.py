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
from baseline import compare
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

sys.path.insert(0, str(Path(__file__).parents[1]))
from ingestion.errors import ConfigurationError
from ingestion.export import KEYS, Label, export

LABEL = Label("has_failure", 7)


def main(first: date, last: date) -> None:
    """Prints the scores of a model that is trained on the earlier of these days, and tested on the later ones."""
    days = [first + timedelta(days=number) for number in range((last - first).days + 1)]
    with tempfile.TemporaryDirectory() as folder:
        export("devices", [day.isoformat() for day in days], LABEL, Path(folder))
        table = pq.read_table(Path(folder) / "devices.parquet")
    names = [name for name in table.column_names if name not in (*KEYS, LABEL.name)]
    features = np.column_stack([table[name].cast("float64").to_numpy() for name in names])
    labels, moments = table[LABEL.name].to_numpy(), table["as_of_at"].to_numpy()

    # What is missing is told by a column of its own.
    model = make_pipeline(
        SimpleImputer(strategy="median", add_indicator=True), StandardScaler(), LogisticRegression(C=0.1, max_iter=1000)
    )
    naive = {"who failed most often in 28 days": features[:, names.index("limit_alert_count_28d")]}
    compare(model, names, features, labels, moments, LABEL.horizon_days, naive)


if __name__ == "__main__":
    try:
        main(*(date.fromisoformat(text) for text in sys.argv[1:]))
    except ConfigurationError as error:
        sys.exit(str(error))
