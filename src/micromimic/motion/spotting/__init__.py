"""From a face's measurements to movements that stand out of its own.

`cells` looks at the ten cells at the recording's full rate, `dense` at the whole face under
its own noise; `joined` has what both say of a recording, `live` the same as it happens, `macro`
longer expressions. Below them: `stretches` even time, `bumps` filters, `gates` and `speech` what
closes time to the cells, `reading` onset, apex and offset of a peak, `config` limits.
"""
