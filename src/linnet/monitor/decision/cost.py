"""What a promotion may cost a day. It is shown, and never decides alone."""

from typing import Any

from linnet.monitor.decision.inputs import Inputs, Settings

DAY = 86_400


def cost_view(inputs: Inputs, settings: Settings) -> dict[str, Any] | None:
    """Texts a day, and the largest loss by a challenger's errors; None where no cost is named.

    The loss is by the lower end of the difference of accuracies, if all texts went to it.
    """
    statistics = inputs.experiment
    if settings.cost_of_error is None or not statistics or statistics.horizon is None:
        return None
    arms = {}
    for name, one in sorted(statistics.challengers.items()):
        if one.pairs is None or statistics.first is None:
            continue
        days = max((statistics.horizon - statistics.first) / DAY, 1 / 24)
        texts = statistics.returned / days
        low, high = one.pairs.counts.interval()
        arms[name] = {
            "texts_a_day": round(texts, 1),
            "gain_a_day_low": round(texts * low * settings.cost_of_error, 2),
            "gain_a_day_high": round(texts * high * settings.cost_of_error, 2),
        }
    return {"cost_of_error": settings.cost_of_error, "arms": arms}
