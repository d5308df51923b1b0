-- Compare-and-set of several revisions in one namespace, each with everything that goes with it, and each for itself: one
-- that fails or loses holds up no other. They are told of as one entry in the stream of changes.
--
-- KEYS: the heads and the stream of changes.
-- ARGV: prefix of the namespace; how many commits; how many changes to keep (empty: do not look now); for each commit in a
-- row, 49 bytes: the beginning of the expected head (16), that of the new one (24), the greatest revision to be removed (8)
-- and flags (1); what is told of them all; then the name of each; then the record of each; then of each that has `MORE` the
-- parent again (empty: stays), names of the pieces, how many pieces come with it, and of each of these its name and its bytes.
--
-- Answers with the place of the last change, and for each commit 1, or the head that is there instead as `head` does it.
-- A name comes once. Flags are added up.
local NUMBER_ALONE, IS_TOMBSTONE, MORE, PARENT_HAS_PIECES = 1, 2, 4, 8

local heads, changes = KEYS[1], KEYS[2]
local space, total, control = ARGV[1], tonumber(ARGV[2]), ARGV[4]
local keys, records, next_more, attempt = space .. 'k:', 5 + total, 6 + 2 * total, redis.pcall
-- Fails when something else lies there, as nothing behind the first write may: a script is not undone.
call('XLEN', changes)
local known = call('HMGET', heads, '', unpack(ARGV, 6, 5 + total))
local set, last, winners, refused = { '', '' }, 2, 0, nil

local function unusual(key, name, field, head_field, low, floor, marks, flags, more)
  if has(flags, MORE) then
    local ids, last = ARGV[more + 1], more + 1 + 2 * tonumber(ARGV[more + 2])
    if ids ~= '' then
      for piece = more + 3, last, 2 do call('HSET', space .. 'pieces', ARGV[piece], ARGV[piece + 1]) end
      keep_all(space, key, field, ids)
      marks = bit.bor(marks, PIECES)
    end
    local pins = head_field and ARGV[more] ~= '' and pins_of(key, marks)
    if pins and not place_of(pins, head_field) then
      call('HSET', key, head_field, ARGV[more])
      if has(marks, PIECES) and not has(flags, PARENT_HAS_PIECES) then release_all(space, key, head_field) end
    end
  end
  if low > floor and remove(space, key, floor, low - 1, marks) then floor = low end
  return floor, marks
end

local function commit(number)
  local name, at = ARGV[5 + number], number * 49 - 48
  local wanted, wanted_high, wanted_low, rev, chain_high, chain_low, ends_high, ends_low, limit, flags =
    from('>I8I4I4I8I4I4I4I4I8B', control, at)
  local more = next_more
  if flags >= MORE and has(flags, MORE) then next_more = more + 3 + 2 * tonumber(ARGV[more + 2]) end
  local key, head = keys .. name, known[number + 1]
  local is, low, floor, marks, ended, is_high, is_low = 0, rev, rev, 0, 0, 0, 0
  if head then
    is, low, floor, marks, ended, is_high, is_low = parts_of(head)
    if not is then return { err = foreign } end
  end
  if is ~= wanted or (is_low ~= wanted_low or is_high ~= wanted_high) and flags % 2 ~= NUMBER_ALONE then
    return head and { sub(head, 1, 24), attempt('HGET', key, sub(head, 1, 8)) } or {}
  end
  local done = attempt('HSET', key, sub(control, at + 16, at + 23), ARGV[records + number])
  if type(done) == 'table' then
    -- What stands in the way of one key, or of every write; it does so before the first.
    if not find(done.err, 'WRONGTYPE', 1, true) then refused = done end
    return done
  end
  if not head then
    call('ZADD', space .. 'names', 0, name)
    call('SADD', 'tw:namespaces', string.match(space, '{(.-)}'))
  end
  if ends_low + ends_high > 0 then
    call('ZADD', space .. 'due', string.format('%.0f', ends_high * 4294967296 + ends_low), name)
  elseif ended ~= 0 then
    call('ZREM', space .. 'due', name)
  end
  if limit >= low then low = limit + 1 end
  -- What is not kept any more is removed at once where something hangs on it, and otherwise in eights.
  if flags > NUMBER_ALONE or marks ~= 0 then
    if has(marks, TOMBSTONE) then marks = marks - TOMBSTONE end
    local field, head_field = sub(control, at + 16, at + 23), head and sub(head, 1, 8)
    floor, marks = unusual(key, name, field, head_field, low, floor, marks, flags, more)
    if has(flags, IS_TOMBSTONE) then marks = marks + TOMBSTONE end
  elseif low - floor >= 8 then
    remove(space, key, floor, low - 1, 0)
    floor = low
  end
  local sum = sum_of(rev, ends_high, ends_low, low, floor, marks)
  set[last + 1] = name
  set[last + 2] = pack('>I8I4I4I4I4I8I8Bd', rev, chain_high, chain_low, ends_high, ends_low, low, floor, marks, sum)
  last = last + 2
  winners = winners + 1
  return 1
end

local answers = { 0 }
for number = 1, total do
  answers[number + 1] = commit(number)
  if refused then return refused end
end
if winners == 0 then return answers end

local won = string.rep('y', total)
if winners < total then
  local each = {}
  for number = 1, total do each[number] = answers[number + 1] == 1 and 'y' or 'n' end
  won = table.concat(each)
end

local function tell(place)
  set[2] = string.format('%.0f', place)
  local told = { '1-' .. set[2], 'e', ARGV[5], 'w', won }
  local oldest = ARGV[3] ~= '' and place - tonumber(ARGV[3]) or 0
  if oldest > 0 then
    return attempt('XADD', changes, 'MINID', '~', '1-' .. string.format('%.0f', oldest), unpack(told))
  end
  return attempt('XADD', changes, unpack(told))
end

local place = (tonumber(known[1] or '0') or 0) + winners
if type(tell(place)) == 'table' then
  -- The number of changes was lost or damaged: the stream itself knows.
  local last = call('XREVRANGE', changes, '+', '-', 'COUNT', 1)[1]
  place = (last and tonumber(string.match(last[1], '^1%-(%d+)$')) or 0) + winners
  local told = tell(place)
  if type(told) == 'table' then return told end
end
call('HSET', heads, unpack(set))
answers[1] = place
return answers
