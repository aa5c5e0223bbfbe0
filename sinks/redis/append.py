"""Appending to a Redis stream so that a repetition adds nothing: one script, run by Redis."""

from collections.abc import Sequence
from dataclasses import dataclass

from sinks.base import Outgoing

_FORGET_MS = 30 * 24 * 3600 * 1000

APPEND = """\
local stream, writers = KEYS[1], KEYS[2]
local spool, maxlen, max_age_ms, how = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local clock = redis.call('TIME')
local now_ms = clock[1] * 1000 + math.floor(clock[2] / 1000)
local known = spool ~= '' and redis.call('HGET', writers, spool)
local done = tonumber(string.match(known or '0', '^%d+'))
local top_ms, top_seq = 0, 0
if redis.call('EXISTS', stream) == 1 then
  local info = redis.call('XINFO', 'STREAM', stream)
  for i = 1, #info, 2 do
    if info[i] == 'last-generated-id' then
      local ms, seq = string.match(info[i + 1], '^(%d+)-(%d+)$')
      top_ms, top_seq = tonumber(ms), tonumber(seq)
    end
  end
end
local added, newest = 0, done
for i = 5, #ARGV, 5 do
  local number, id = tonumber(ARGV[i]), '*'
  if number == 0 or number > newest then
    if number > 0 then
      local ms = math.max(now_ms, top_ms)
      if ms == top_ms and number <= top_seq then
        ms = ms + 1
      end
      id = string.format('%.0f-%.0f', ms, number)
      top_ms, top_seq, newest = ms, number, number
    end
    redis.call('XADD', stream, id, 'body', ARGV[i + 4], 'kind', ARGV[i + 1],
      'stream_id', ARGV[i + 2], 'message_id', ARGV[i + 3])
    added = added + 1
  end
end
if spool ~= '' and newest > done then
  redis.call('HSET', writers, spool, string.format('%.0f %.0f', newest, now_ms))
  local all = known and {} or redis.pcall('HGETALL', writers)
  for i = 1, #all, 2 do
    local ms = tonumber(string.match(all[i + 1], ' (%d+)$'))
    if ms and now_ms - ms > FORGET_MS then
      redis.pcall('HDEL', writers, all[i])
    end
  end
end
if added > 0 and maxlen ~= '' then
  redis.call('XTRIM', stream, 'MAXLEN', how, maxlen)
end
if added > 0 and max_age_ms ~= '' then
  redis.call('XTRIM', stream, 'MINID', how, string.format('%.0f', now_ms - max_age_ms))
end
return added
""".replace("FORGET_MS", str(_FORGET_MS))
"""KEYS: the stream, and the hash of who wrote up to which number, and when. Each run of Eyrie has a
name of its own in there; one that has written nothing for 30 days is forgotten.
ARGV: spool, maxlen, max_age_ms, `~` or `=`, then of each message number, kind, stream_id,
message_id and body. Returns how many entries it added."""


@dataclass(frozen=True, slots=True)
class Trim:
    """The bound of a stream: the newest `maxlen` entries, those of the last `max_age_s`, or what
    meets both; None sets no bound. Redis takes whole nodes off, and keeps up to about 100 entries
    more, unless `exact`."""

    maxlen: int | None = None
    max_age_s: float | None = None
    exact: bool = False

    def arguments(self) -> list[str]:
        """ARGV[2] to ARGV[4] of `APPEND`."""
        age_ms = "" if self.max_age_s is None else str(round(self.max_age_s * 1000))
        maxlen = "" if self.maxlen is None else str(self.maxlen)
        return [maxlen, age_ms, "=" if self.exact else "~"]


def writers_key(stream: str) -> str:
    """The key beside `stream` that knows who wrote up to which number. Both lie in one slot of a
    cluster: what is in braces decides (Redis Cluster Specification, "Hash tags")."""
    return f"eyrie:writers:{stream if has_tag(stream) else '{' + stream + '}'}"


def has_tag(key: str) -> bool:
    """True if a key has a hash tag: something between its first `{` and the next `}`."""
    _, opened, rest = key.partition("{")
    tag, closed, _ = rest.partition("}")
    return bool(opened and closed and tag)


def arguments(messages: Sequence[Outgoing], trim: Trim) -> list[str | bytes | int]:
    """ARGV of `APPEND`. All messages are of one spool, or of none."""
    found: list[str | bytes | int] = [messages[0].spool, *trim.arguments()]
    for message in messages:
        found += [message.number, message.kind, message.key, message.message_id, message.body]
    return found
