"""One event: drawn with all its choices, begun, and ended some seconds later.

`begin` does it and says whether it could; `end` undoes what lasts. `weight` says how often a kind is drawn.
"""


class Event:
    weight = 2
    lasts = (0, 0)
    loses = ""  # changes or the topic, of "this" table or of "all": then a new generation is right

    def __init__(self, rng, chain):
        self.chain = chain
        self.seconds = rng.uniform(*self.lasts)
        self.slot = rng.choice(chain.slots)
        self.table = rng.choice(chain.tables)
        self.draw(rng)

    def draw(self, rng):
        """More choices."""

    def begin(self):
        raise NotImplementedError

    def end(self):
        """Undoes what lasts."""

    def __str__(self):
        return f"{type(self).__name__} {self.seconds:.1f} s {self.about()}"

    def about(self):
        return self.table.name


class OfProgram(Event):
    def about(self):
        return self.slot.name
