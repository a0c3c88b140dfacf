"""Former names of this room (until issue 15 is whole)."""

# ruff: noqa

from micromimic.workstation.records.models import (
    AnalysisRecord as Analysis,
    Consent as Consent,
    Decision as Decision,
    Job as Job,
    JobStatus as JobStatus,
    MediaState as MediaState,
    Recording as Recording,
    Session as Session,
    Subject as Subject,
)
from micromimic.workstation.records.payloads import Action as Action
from micromimic.workstation.records.review import Review as Review, ReviewedEvent as ReviewedEvent
