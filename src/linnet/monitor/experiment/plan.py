"""Which epochs of the log compare the arms of now. Knows neither rows nor tests."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from linnet.monitor.prediction_log import Epoch

CHAMPION = "champion"


@dataclass(frozen=True, slots=True)
class Plan:
    """What is compared.

    Attributes:
        experiment: The salt of the assignment.
        champion: Digest of the champion's bundle.
        arms: The challengers and shadows of now: digest, role and share by name.
        splits: For each arm, the epochs in which it had a part of the traffic, with its share of
            its own and the champion's.
        shadows: For each arm, the epochs in which it was a shadow, with the part that it got.
    """

    experiment: str
    champion: str
    arms: Mapping[str, tuple[str, str, float]]
    splits: Mapping[str, Mapping[int, float]]
    shadows: Mapping[str, Mapping[int, float]]

    @property
    def split_epochs(self) -> set[int]:
        """Epochs in which any of the challengers had a share."""
        return {epoch for shares in self.splits.values() for epoch in shares}

    @property
    def shadow_epochs(self) -> set[int]:
        """Epochs in which any of the arms was a shadow."""
        return {epoch for shares in self.shadows.values() for epoch in shares}


def make_plan(epochs: Sequence[Epoch], current: Epoch) -> Plan:
    """Which epochs compare the arms of now with the champion of now.

    A change of a bundle ends the comparison. Pairs of a shadow need no assignment, so they count
    under any name of the experiment.
    """
    champion = current.arms[CHAMPION].digest
    arms = {
        name: (arm.digest, arm.role, arm.share)
        for name, arm in current.arms.items()
        if name != CHAMPION
    }
    splits: dict[str, dict[int, float]] = {name: {} for name in arms}
    shadows: dict[str, dict[int, float]] = {name: {} for name in arms}
    for epoch in epochs:
        if CHAMPION not in epoch.arms or epoch.arms[CHAMPION].digest != champion:
            continue
        left = 1 - sum(arm.share for arm in epoch.arms.values() if arm.role == "challenger")
        for name, (digest, _, _) in arms.items():
            arm = epoch.arms.get(name)
            if arm is None or arm.digest != digest or not arm.share > 0:
                continue
            if arm.role == "shadow":
                shadows[name][epoch.epoch] = arm.share
            elif epoch.experiment == current.experiment:
                splits[name][epoch.epoch] = _of_two(arm.share, left)
    return Plan(current.experiment, champion, arms, splits, shadows)


def _of_two(share: float, champion: float) -> float:
    return round(share / (share + champion), 9) if champion > 1e-9 else 1.0
