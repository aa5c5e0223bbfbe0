"""A camera's clock that is wrong: ahead of ours or behind, by its own reports."""

from stages.health.finding import Finding


def judge_clock(offset_ns: int, limit_s: float) -> Finding:
    """`offset_ns`: the camera's clock less ours. The delay of its pictures looks like a clock that
    is behind, so `limit_s` must be well above it."""
    offset_s = offset_ns / 1e9
    side = "ahead of" if offset_s > 0 else "behind"
    return Finding(
        abs(offset_s) > limit_s,
        f"the camera's clock is {abs(offset_s):.1f} s {side} ours",
        {"clock_offset_s": round(offset_s, 3), "limit_s": limit_s},
    )
