"""What both examples do with an exported set: train on the earlier moments, test on the later ones, print scores.

In between are as many days as a label looks ahead, so that no window of the training is still open when the test
begins. Scores are of the order in which entities are put: ROC AUC is 0.5 by chance, and average precision is then the
share of those that are looked for.
"""

import numpy as np
from sklearn.metrics import average_precision_score, roc_auc_score
from sklearn.pipeline import Pipeline

TRAINED = 0.6
"""Share of the moments that the model is trained on."""


def compare(
    model: Pipeline,
    names: list[str],
    features: np.ndarray,
    labels: np.ndarray,
    moments: np.ndarray,
    horizon_days: int,
    naive: dict[str, np.ndarray],
) -> None:
    """Prints the scores of `model`, whose last step has coefficients, beside those of `naive` answers, by name.

    A row is an entity at one of `moments` (datetime64): its `features`, which have these `names`, and its label, true
    for what is looked for. A naive answer is a number per row, greater where it is expected.
    """
    times = np.unique(moments)
    until = times[int(TRAINED * len(times))]
    is_train = moments < until
    is_test = moments >= until + np.timedelta64(horizon_days, "D")
    for what, rows in (("trained", is_train), ("tested", is_test)):
        count = len(np.unique(moments[rows]))
        print(f"{what} on {rows.sum():,} rows of {count} days, {labels[rows].mean():.0%} of them true")
    model.fit(features[is_train], labels[is_train])
    answers = {"the same for all": np.zeros(len(labels)), **naive, "model": model.predict_proba(features)[:, 1]}
    print(f"\n{'':<36}ROC AUC   average precision")
    for name, scores in answers.items():
        of_test = labels[is_test], scores[is_test]
        print(f"{name:<36}{roc_auc_score(*of_test):>7.3f}{average_precision_score(*of_test):>20.3f}")
    weights = dict(zip(names, model[-1].coef_[0], strict=False))
    print("\nwhat counts most, per standard deviation:")
    for name in sorted(weights, key=lambda each: -abs(weights[each]))[:5]:
        print(f"  {name:<34}{weights[name]:>7.2f}")
