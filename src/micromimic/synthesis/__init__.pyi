from .clips import (
    plan_clip as plan_clip,
    synth_clips as synth_clips,
    write_clip as write_clip,
)
from .databases.write import synth_databases as synth_databases
from .maps import (
    MapConfig as MapConfig,
    generate_maps as generate_maps,
)
from .schedule import (
    ClipConfig as ClipConfig,
    clip_of_kind as clip_of_kind,
)
