"""Any predictor and a split to a report: how good it is, how sure that is, beside honest baselines."""
