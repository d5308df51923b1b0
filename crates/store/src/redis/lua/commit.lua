-- Compare-and-set of several revisions, each with everything that goes with it, and each for itself: one that fails or
-- loses holds up no other.
--
-- KEYS: for each commit the key and the stream of changes.
-- ARGV: how many changes to keep; then for each commit: expected revision (`0`: none), the mark of its chain (empty: any), new
-- revision, the mark of its chain, when it expires (`0`: never), flags, the greatest revision to be removed, record, the record
-- without its body, name, parent again (empty: stays), names of the pieces, how many pieces come with it; then of each of these
-- its name and its bytes. Flags: `t` a tombstone, `c` the parent again has pieces, `x` old changes are to be removed.
--
-- Answers for each commit with the place of the change, or with the head that is there instead: `{expires, record}` or `{}`.
local call, match, find = redis.call, string.match, string.find

local function unusual(key, space, head, rev, low, floor, marks, at, flags)
  local count = tonumber(ARGV[at + 12])
  if ARGV[at + 11] ~= '' then
    for piece = at + 13, at + 11 + 2 * count, 2 do call('HSET', space .. 'pieces', ARGV[piece], ARGV[piece + 1]) end
    keep_all(space, key, rev, ARGV[at + 11])
    marks = with_mark(marks, 'c')
  end
  local pinned = head and find(marks, 's', 1, true) and find(call('HGET', key, 'p'), ' ' .. head .. ' ', 1, true)
  if head and ARGV[at + 10] ~= '' and not pinned then
    call('HSET', key, head, ARGV[at + 10])
    if find(marks, 'c', 1, true) and not find(flags, 'c', 1, true) then release_all(space, key, head) end
  end
  if low > floor then
    remove(space, key, floor, low - 1, marks)
    floor = low
  end
  return floor, marks
end

local function commit(key, changes, at)
  local expected, mark, rev, ends, flags = ARGV[at], ARGV[at + 1], ARGV[at + 2], ARGV[at + 4], ARGV[at + 5]
  local head, low, floor, expires, marks
  local known, chain = unpack(call('HMGET', key, 'h', 'm'))
  if known then
    head, low, floor, expires, marks = match(known, '^(%d+) (%d+) (%d+) (%d+) (%a*)$')
    if not head then error(foreign) end
  end
  if (head or '0') ~= expected or mark ~= '' and mark ~= chain then
    return head and { expires, call('HGET', key, head) } or {}
  end
  -- First the command that fails when something else lies there: a script is not undone.
  local place
  if find(flags, 'x', 1, true) then
    place = call('XADD', changes, 'MAXLEN', '~', ARGV[1], '1-*', 'k', ARGV[at + 9], 'm', ARGV[at + 8])
  else
    place = call('XADD', changes, '1-*', 'k', ARGV[at + 9], 'm', ARGV[at + 8])
  end
  if head then
    low, floor = tonumber(low), tonumber(floor)
  else
    local space = string.sub(changes, 1, -8)
    low, floor, expires, marks = tonumber(rev), tonumber(rev), '0', ''
    call('ZADD', space .. 'names', 0, ARGV[at + 9])
    call('SADD', 'tw:namespaces', match(space, '{(.-)}'))
  end
  if ends ~= '0' then
    call('ZADD', string.sub(changes, 1, -8) .. 'due', ends, ARGV[at + 9])
  elseif expires ~= '0' then
    call('ZREM', string.sub(changes, 1, -8) .. 'due', ARGV[at + 9])
  end
  if marks ~= '' then marks = string.gsub(marks, 't', '') end
  local limit = tonumber(ARGV[at + 6])
  if limit >= low then low = limit + 1 end
  -- What is not kept any more is removed at once where something hangs on it, and otherwise in eights.
  if marks ~= '' or low - floor >= 8 or ARGV[at + 10] ~= '' or ARGV[at + 11] ~= '' then
    floor, marks = unusual(key, string.sub(changes, 1, -8), head, rev, low, floor, marks, at, flags)
  end
  if find(flags, 't', 1, true) then marks = marks .. 't' end
  call('HSET', key, 'h', string.format('%s %.0f %.0f %s %s', rev, low, floor, ends, marks), rev, ARGV[at + 7], 'm', ARGV[at + 3])
  return place
end

local answers, at = {}, 2
for number = 1, #KEYS, 2 do
  local good, answer = pcall(commit, KEYS[number], KEYS[number + 1], at)
  if not good and type(answer) == 'string' then answer = { err = answer } end
  answers[#answers + 1] = answer
  at = at + 13 + 2 * tonumber(ARGV[at + 12])
end
return answers
