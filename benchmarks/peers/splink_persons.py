"""splink on one of those files: trained on it without labels, as its documentation recommends.

Arguments: the file, and where to write record_id and cluster_id."""

import logging
import sys

import pandas
import splink.comparison_library as compare
from splink import DuckDBAPI, Linker, SettingsCreator, block_on

source, target = sys.argv[1:]
logging.getLogger("splink").setLevel(logging.ERROR)
api = DuckDBAPI()
settings = SettingsCreator(
    link_type="dedupe_only",
    unique_id_column_name="record_id",
    comparisons=[
        compare.NameComparison("first_name"),
        compare.NameComparison("last_name"),
        compare.DateOfBirthComparison("birth_date", input_is_string=True),
        compare.DamerauLevenshteinAtThresholds("national_id", [1, 2]),
        compare.LevenshteinAtThresholds("street_line", [1, 5]),
        compare.DamerauLevenshteinAtThresholds("postal_code", [1, 2]),
        compare.JaroWinklerAtThresholds("city", [0.9]),
    ],
    blocking_rules_to_generate_predictions=[
        block_on("national_id"),
        block_on("birth_date"),
        block_on("street_line"),
        block_on("first_name", "last_name"),
        block_on("postal_code", "last_name"),
        block_on("postal_code", "first_name"),
        block_on("first_name", "city"),
        block_on("last_name", "city"),
    ],
)
linker = Linker(api.register(pandas.read_csv(source, dtype=str)), settings)
certain = [block_on("national_id"), block_on("first_name", "last_name", "birth_date")]
linker.training.estimate_probability_two_random_records_match(certain, recall=0.9)
linker.training.estimate_u_using_random_sampling(max_pairs=1e6, seed=1)
linker.training.estimate_parameters_using_expectation_maximisation(block_on("birth_date"))
linker.training.estimate_parameters_using_expectation_maximisation(block_on("postal_code"))
pairs = linker.inference.predict(threshold_match_probability=0.5)
clusters = linker.clustering.cluster_pairwise_predictions_at_threshold(pairs, threshold_match_probability=0.99)
clusters.as_pandas_dataframe()[["record_id", "cluster_id"]].to_csv(target, index=False)
