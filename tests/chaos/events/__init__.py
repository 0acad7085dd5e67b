"""What may befall a campaign: each kind is a class, drawn from the round's seed before the round begins."""

from . import kafka, programs, requests, source, target

KINDS = [*programs.KINDS, *kafka.KINDS, *target.KINDS, *source.KINDS, *requests.KINDS]
