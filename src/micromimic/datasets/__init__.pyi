from .base import Database as Database
from .clip import (
    Clip as Clip,
    Event as Event,
)
from .databases import database as database
from .events import (
    Video as Video,
    read_events as read_events,
    read_videos as read_videos,
    write_events as write_events,
)
from .manifest import (
    labels_of_manifest as labels_of_manifest,
    manifest_notes as manifest_notes,
    read_manifest as read_manifest,
    write_manifest as write_manifest,
)
from .megc2019 import (
    composite as composite,
    table1 as table1,
)
from .read import (
    index as index,
    read_database as read_database,
)
from .schemes import scheme as scheme
