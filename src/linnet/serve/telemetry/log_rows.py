"""The outcome of each text as a row of the prediction log."""

import struct
import time
from functools import cache
from weakref import WeakKeyDictionary

from linnet.monitor import ArmInEpoch, Epoch, Failure, PredictionLog, Record
from linnet.predict.codec import Prediction
from linnet.serve.models.arms import Arms
from linnet.serve.models.items import Item

MAX_LABELS = 64  # whose probabilities are recorded


class LogRows:
    """Records what becomes of texts. Of one event loop alone.

    Args:
        log: The prediction log.
    """

    def __init__(self, log: PredictionLog):
        self._log = log
        # A text keeps the epoch of the arms that it was assigned by, also after a change.
        self._epochs: WeakKeyDictionary[Arms, int] = WeakKeyDictionary()

    def begin_epoch(self, arms: Arms) -> None:
        """Record which arms are at work from now on."""
        epoch = Epoch.of(
            time.time(),
            arms.experiment,
            {arm.name: ArmInEpoch(arm.pool.bundle.digest, arm.role, arm.share) for arm in arms},
        )
        self._epochs[arms] = epoch.epoch
        self._log.record_epoch(epoch)

    def add(self, item: Item) -> None:
        """Record the outcome of a text."""
        if item.answer is None:
            self._log.record_failures([self._failure(item)])
        else:
            self._log.record([self._record(item, item.answer.prediction)])

    def _failure(self, item: Item) -> Failure:
        request = item.request
        return Failure(
            time=time.time(),
            epoch=self._epochs.get(request.arms, 0),
            arm=item.arm.name,
            unit=self._log.hash(item.unit),
            named=request.named,
            shadow=item.shadow,
            code=item.code,
            texts=1,
        )

    def _record(self, item: Item, prediction: Prediction) -> Record:
        log = self._log
        request = item.request
        arm = item.arm
        text = item.text
        text_hash = log.hash(text)
        bundle = arm.pool.bundle
        surprise = arm.pool.codec.surprise
        encoding = item.encodings[0]
        return Record(
            id=item.id,
            time=time.time(),
            arm=arm.name,
            digest=bundle.digest,
            label=prediction.label,
            labels=prediction.labels,
            probability=prediction.probability,
            tokens=item.tokens,
            truncated=prediction.truncated,
            abstained=prediction.abstained,
            fast=prediction.fast,
            shadow=item.shadow,
            latency_ms=item.seconds * 1000,
            text=text if log.keeps_text(item.id) else None,
            epoch=self._epochs.get(request.arms, 0),
            named=request.named,
            unit=text_hash if request.key is None else log.hash(request.key),
            text_hash=text_hash,
            words=encoding.words,
            surprise=surprise.of(encoding.ids) if surprise else None,
            probabilities=packed(prediction.probabilities, bundle.manifest.multi_label),
        )


def packed(probabilities: dict[str, float], multi_label: bool) -> bytes | None:
    """Probabilities as float16; None if one number says all, or if they are too many."""
    count = len(probabilities)
    if count > MAX_LABELS or (count == 2 and not multi_label):
        return None
    return _layout(count).pack(*probabilities.values())


@cache
def _layout(count: int) -> struct.Struct:
    return struct.Struct(f"<{count}e")
