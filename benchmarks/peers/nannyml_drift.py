"""NannyML's univariate drift of the same rows: the first week against all later days, day by day."""

import json
import os
import resource
import sys
import time

os.environ["NML_DISABLE_USAGE_LOGGING"] = "1"
import nannyml
import numpy as np
import pandas as pd

NUMBERS = ["probability", "tokens", "surprise", "pieces"]
CATEGORIES = ["label", "truncated"]

rows = np.load(sys.argv[1])
table = pd.DataFrame({name: rows[name] for name in rows.files})
table["pieces"] = 1 - table["words"] / table["tokens"]
table["truncated"] = table["truncated"].astype(str)
table["time"] = pd.to_datetime(table["time"], unit="s")
day = (table["time"] - table["time"].min()).dt.days
started = time.perf_counter()
calculator = nannyml.UnivariateDriftCalculator(
    column_names=NUMBERS + CATEGORIES,
    treat_as_categorical=CATEGORIES,
    timestamp_column_name="time",
    continuous_methods=["jensen_shannon"],
    categorical_methods=["jensen_shannon"],
    chunk_period="D",
)
calculator.fit(table[day < 7])
results = calculator.calculate(table[day >= 7]).filter(period="analysis").to_df()
alarms = results.loc[:, results.columns.get_level_values(-1) == "alert"].any(axis=1)
print(
    json.dumps(
        {
            "seconds": time.perf_counter() - started,
            "megabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
            "days with a drifted column, of 83 without drift": int(alarms.sum()),
        }
    )
)
