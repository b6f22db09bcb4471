"""Generate a labelled sample of short messages, for a first run without data.

Negation, contrast and disappointed hopes reverse the meaning of words. Messages have typos,
stretched letters, names, links, tags and emoji. Some are sent twice, and one label in twenty is
wrong. So no single word gives the label away, and no model reaches 100 %.
"""

import random
from collections.abc import Iterator

from linnet.tables.table import Row, Table

NAME = "generated"
ROWS = 6000
LABELS = ("negative", "positive")
WRONG_LABELS = 0.05
SENT_TWICE = 0.02

GOOD = (
    "good great lovely brilliant excellent fun wonderful solid smooth quick helpful charming tasty "
    "fresh bright reliable clever warm friendly neat superb delightful comfy crisp"
).split()
BAD = (
    "bad awful boring terrible poor slow broken rude dull noisy messy weak cold stale clumsy ugly "
    "buggy late bland shaky dreadful pricey stiff flaky"
).split()
PRAISE = "success win joy treat pleasure gem bargain triumph hit delight".split()
BLAME = "failure mess waste disaster letdown pain flop nightmare joke chore".split()
THINGS = (
    "film phone train lunch game album update service hotel coffee class laptop concert ending "
    "screen battery menu app weather book bus party keyboard show interview "
    "pizza sofa camera trip match"
).split()
OPENERS = [
    "",
    "",
    "",
    "honestly",
    "so",
    "ok",
    "well",
    "just saying",
    "update:",
    "hmm",
    "omg",
    "fyi",
    "my take:",
    "today",
]
CLOSERS = [
    "",
    "",
    "",
    "",
    "anyway",
    "lol",
    "that's all",
    "you know",
    "i guess",
    "again",
    "this week",
    "for real",
    "smh",
]
INTENSIFIERS = ["", "", "very", "so", "really", "pretty", "quite", "super", "rather", "truly"]
NEGATIONS = [
    "not {} at all",
    "not that {}",
    "never {}",
    "far from {}",
    "anything but {}",
    "hardly {}",
    "not even {}",
]
NOUN_NEGATIONS = ["hardly a {}", "not a {}", "no {} whatsoever", "far from a {}", "never a {}"]
TURNS = [
    "{0} but {1}",
    "{0}, yet {1}",
    "{0}. still, {1}",
    "{1}, even if {0}",
    "{1} although {0}",
    "{1} despite that {0}",
]
ADDITIONS = ["and", "and", "also", "plus", "and then"]
HOPES = [
    "expected {0}, got {1}",
    "everyone said {0}, i say {1}",
    "was {0} last year, now {1}",
    "{1} and i had feared {0}",
]
TAGS = "#monday #fail #win #life #food #music #work #weekend #nofilter #random".split()
EMOJI = ["😀", "😭", "🔥", "👍", "🙄", "❤️", "😂", "🤷", "☕", ":)", ":(", ":-/", ";)", "xD"]
USERS = "sam_k lena99 the_real_jo mika pixelpete dr_who_fan nora tomtom zed_ annika".split()
ENTITIES = {"&": "&amp;", "<": "&lt;", '"': "&quot;"}


def table(seed: int, rows: int = ROWS) -> Table:
    """The sample as a raw table of `text` and `label`.

    Args:
        seed: The same seed gives the same messages.
        rows: How many.
    """
    return Table(("text", "label"), messages(seed, rows), {"format": NAME, "encoding": "utf-8"})


def messages(seed: int, rows: int) -> Iterator[Row]:
    """Rows of the sample: their number, and text and label."""
    draw = random.Random(seed)  # noqa: S311, no secret is made of it
    sent: list[str] = []
    truths: list[bool] = []
    for number in range(1, rows + 1):
        if sent and draw.random() < SENT_TWICE:
            earlier = draw.randrange(len(sent))
            text = sent[earlier]
            positive = truths[earlier]
        else:
            positive = draw.random() < 0.5
            text = _disturb(draw, _statement(draw, positive))
        sent.append(text)
        truths.append(positive)
        labelled_positive = positive != (draw.random() < WRONG_LABELS)
        yield number, (text, LABELS[labelled_positive])


def _statement(draw: random.Random, positive: bool) -> str:
    form = draw.random()
    if form < 0.5:
        core = _clause(draw, positive)
    elif form < 0.75:
        core = f"{_clause(draw, positive)} {draw.choice(ADDITIONS)} {_clause(draw, positive)}"
    elif form < 0.9:
        core = draw.choice(TURNS).format(_clause(draw, not positive), _clause(draw, positive))
    else:
        thing = draw.choice(THINGS)
        core = f"the {thing}: " + draw.choice(HOPES).format(
            _quality(draw, not positive), _quality(draw, positive)
        )
    return " ".join(filter(None, (draw.choice(OPENERS), core, draw.choice(CLOSERS))))


def _clause(draw: random.Random, positive: bool) -> str:
    thing = draw.choice(THINGS)
    if draw.random() < 0.25:
        return (
            f"{draw.choice(['this', 'the', 'that', 'our'])} {thing} was {_verdict(draw, positive)}"
        )
    subject = draw.choice(
        [
            f"the {thing} is",
            f"this {thing} was",
            f"my {thing} looks",
            f"{thing} felt",
            f"the {thing} seems",
        ]
    )
    return f"{subject} {_quality(draw, positive)}"


def _quality(draw: random.Random, positive: bool) -> str:
    if draw.random() < 0.22:
        return draw.choice(NEGATIONS).format(draw.choice(BAD if positive else GOOD))
    return f"{draw.choice(INTENSIFIERS)} {draw.choice(GOOD if positive else BAD)}".strip()


def _verdict(draw: random.Random, positive: bool) -> str:
    if draw.random() < 0.25:
        return draw.choice(NOUN_NEGATIONS).format(draw.choice(BLAME if positive else PRAISE))
    emphasis = draw.choice(["real ", "total ", "complete ", ""])
    return f"a {emphasis}{draw.choice(PRAISE if positive else BLAME)}"


def _disturb(draw: random.Random, text: str) -> str:
    """Write it the way people do in a hurry."""
    words = text.split(" ")
    if draw.random() < 0.25:
        place = draw.randrange(len(words))
        words[place] = draw.choice([_typo, _stretch])(draw, words[place])
    if draw.random() < 0.15:
        words.insert(0, f"@{draw.choice(USERS)}")
    if draw.random() < 0.08:
        words.insert(draw.randrange(len(words) + 1), draw.choice(TAGS))
    if draw.random() < 0.08:
        words.append(f"http://example.com/{draw.randrange(16**4):04x}")
    if draw.random() < 0.25:
        words.append(draw.choice(EMOJI))
    text = " ".join(words) + draw.choice(["", "", "", ".", "!", "!!", "...", " & more"])
    if draw.random() < 0.08:
        text = text.upper()
    if draw.random() < 0.1:
        text = text.replace(" is ", '  is "really" ', 1)
    if draw.random() < 0.5:
        text = "".join(ENTITIES.get(letter, letter) for letter in text)
    return text


def _typo(draw: random.Random, word: str) -> str:
    if len(word) < 4:
        return word
    place = draw.randrange(1, len(word) - 2)
    return word[:place] + word[place + 1] + word[place] + word[place + 2 :]


def _stretch(draw: random.Random, word: str) -> str:
    place = next((index for index in range(len(word) - 1, -1, -1) if word[index] in "aeiou"), None)
    return (
        word
        if place is None
        else word[:place] + word[place] * draw.randint(3, 6) + word[place + 1 :]
    )
