"""The counts of an experiment: all that its figures are computed from.

They are small, whatever the traffic. `linnet decide` keeps a copy in its record, so a decision can
be computed again after the log has forgotten its rows.
"""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from linnet.monitor.evidence import EventCounts, PairedCounts, SampleRatioTest

Count = Annotated[int, Field(ge=0)]
Share = Annotated[float, Field(ge=0, le=1)]
# The challenger's share of its own and the champion's traffic; the champion's; the challenger's.
ByShare = tuple[Annotated[float, Field(gt=0, lt=1)], Count, Count]

HARMFUL = ("failures", "slow", "abstained", "truncated")  # what may roll a challenger back
REPORTED_WRONG = "reported_wrong"  # a user's label differs from the answer
ANY_FEEDBACK = "any_feedback"  # a user said anything
KINDS = (*HARMFUL, REPORTED_WRONG, ANY_FEEDBACK)


class Part(BaseModel):
    """What all counts have in common: no other keys, and no number is infinite."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Pairs(Part):
    """A shadow against the champion, on distinct texts.

    Attributes:
        same: Texts with the same answer, or with two wrong ones.
        better: Texts on which only the shadow is right.
        worse: Texts on which only the champion is right.
        pending: Texts with different answers and no label of an audit or a disagreement.
        expected: Answers that the shadow was to answer as well.
        missing: Those of them that it did not answer, or that the log lost.
    """

    same: Count = 0
    better: Count = 0
    worse: Count = 0
    pending: Count = 0
    expected: Count = 0
    missing: Count = 0

    @property
    def counts(self) -> PairedCounts:
        """The counts of the test."""
        return PairedCounts(self.same, self.better, self.worse, self.pending)


class Audited(Part):
    """Distinct audited texts that one arm answered."""

    right: Count = 0
    wrong: Count = 0


class Challenger(Part):
    """The counts of one challenger or shadow and of the champion next to it.

    Attributes:
        digest: Of its bundle.
        role: What it is for now.
        share: Its share of the texts now; for a shadow, the part that it gets too.
        began: When it first got texts in this experiment, seconds since 1970.
        step_began: When it got its present share.
        step_units: Units that it was given since then.
        texts: Texts that it was given.
        units: Units that it was given.
        champion_units: Units that the champion was given meanwhile.
        assigned: Units by the share when each was first seen.
        answered: The same for units with an answer.
        events: For each kind, first events of a unit by the share when they happened.
        failed_texts: Failed texts of requests without a unit, from a flood. No test counts them.
        user_feedback: Answers that a user said something about.
        pairs: None: it was never a shadow next to this champion.
        audited: The champion's and the challenger's audited texts.
    """

    digest: str
    role: Literal["challenger", "shadow"]
    share: Share
    began: float | None = None
    step_began: float | None = None
    step_units: Count = 0
    texts: Count = 0
    units: Count = 0
    champion_units: Count = 0
    assigned: list[ByShare] = []
    answered: list[ByShare] = []
    events: dict[str, list[ByShare]] = {}
    failed_texts: Count = 0
    user_feedback: Count = 0
    pairs: Pairs | None = None
    audited: tuple[Audited, Audited] | None = None

    def event_counts(self, kind: str) -> EventCounts:
        """The events of one kind."""
        return EventCounts(
            {share: (first, second) for share, first, second in self.events.get(kind, [])}
        )


def ratio_test(counts: list[ByShare]) -> SampleRatioTest:
    """The test of a champion's and a challenger's units by share."""
    return SampleRatioTest(
        {(1 - share, share): [champion, challenger] for share, champion, challenger in counts}
    )


class Statistics(Part):
    """The counts of an experiment.

    Attributes:
        format: Of these counts.
        experiment: The salt of the assignment.
        champion: Digest of the champion's bundle; None: the log names no arms.
        horizon: Time of the last settled row, seconds since 1970; None: there is none.
        began: When the experiment's first row was answered.
        epochs: Epochs that are counted: arms with shares.
        first: Time of the log's first settled row.
        rows: Rows of the log up to the horizon.
        returned: Those of them that are no shadow's.
        lost: Records that the log lost.
        ahead: Rows from the future, which are left out.
        unsettled: Rows after the horizon, which wait.
        without_epoch: Rows of a log of format 1, which are left out.
        keyed_share: Part of the rows whose unit is a client's key, not a text.
        slow_ms: Milliseconds above which an answer is slow; None: not fixed yet.
        several_epochs: Whether servers had different arms or shares in the last minute.
        relabelled: Answers whose labellers of one source disagree.
        challengers: By arm.
        labels: Day (seconds since 1970, UTC), source, and answers that got a label from it.
    """

    format: Literal[1] = 1
    experiment: str = ""
    champion: str | None = None
    horizon: float | None = None
    began: float | None = None
    epochs: Count = 0
    first: float | None = None
    rows: Count = 0
    returned: Count = 0
    lost: Count = 0
    ahead: Count = 0
    unsettled: Count = 0
    without_epoch: Count = 0
    keyed_share: Share = 0.0
    slow_ms: float | None = None
    several_epochs: bool = False
    relabelled: Count = 0
    challengers: dict[str, Challenger] = {}
    labels: list[tuple[Count, str, Count]] = []

    @property
    def log_share(self) -> float:
        """The part of the records that the log lost."""
        return self.lost / (self.rows + self.lost) if self.lost else 0.0

    @property
    def missing_share(self) -> float:
        """The part of the pairs that are missing, of all shadows."""
        pairs = [one.pairs for one in self.challengers.values() if one.pairs]
        expected = sum(one.expected for one in pairs)
        return sum(one.missing for one in pairs) / expected if expected else 0.0
