"""How fast a bundle answers is measured on its real path."""

import pytest

import linnet
from linnet.evaluate import latency
from linnet.predict.host import available_cores
from linnet.predict.plan import Plan


def test_each_text_is_answered_alone_after_a_warm_up(bundle):
    alone = latency.measure_alone(
        linnet.load(bundle, num_threads=1), ["good day", "bad day", "rain"]
    )
    assert len(alone) == latency.ALONE >= 200
    assert min(alone) > 0


def test_the_summary_orders_the_quantiles_and_counts_threads():
    summary = latency.describe([1.0] * 190 + [9.0] * 10, texts=500, seconds=2.0, plan=Plan())
    assert summary.median_ms == 1.0
    assert summary.p95_ms == pytest.approx(1.4)
    assert summary.texts_per_second == 250
    assert summary.num_threads == available_cores()
