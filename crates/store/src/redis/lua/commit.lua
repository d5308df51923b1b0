-- Compare-and-set of several revisions in one namespace, each with everything that goes with it, and each for itself: one
-- that loses, or whose key is damaged, holds up no other; what keeps the server from writing concerns them all. They are told
-- of as one entry in the stream of changes. Their records lie among the records already: Lua is slow at long texts.
--
-- Who knows the whole head of a key says what it is to be, what it becomes, and what is noted and removed with it. Such
-- commits go by themselves, see `whole.lua`; when one of them is not as it was expected, each is looked at here.
--
-- KEYS: the heads and the stream of changes.
-- ARGV: prefix of the namespace; how many commits; how many changes to keep (empty: do not look now); for each commit in a
-- row, 61 bytes: the beginning of the expected head (16), that of the new one (24), the greatest revision to be removed (8),
-- the stamp of the record (12) and flags (1); what is told of them all; how many have whole heads, all or none; the expected
-- ones in a row; then the name of each commit.
-- Then of whole heads name and new head of each; how many runs end, and of each the key, the run's first revision, its note,
-- how many runs are removed, and the first revision of each; then how many records are removed, and where each lies.
-- Or else of each commit that has `MORE` the parent again (empty: stays), names of the pieces, how many pieces come with it,
-- and of each of these its name and its bytes.
--
-- Answers with the place of the last change; 1 if all that have whole heads were done as they were given, else 0, and for
-- each commit the new head and the one it took the place of, in one text, or the head that is there instead as `head` does
-- it. A name comes once. Flags are added up.
local NUMBER_ALONE, IS_TOMBSTONE, MORE = 1, 2, 4
local SIZE = 61

local heads = KEYS[1]
local space, total, control, attempt = ARGV[1], tonumber(ARGV[2]), ARGV[4], redis.pcall
local records = space .. 'records'
local names, next_more = 8, 8 + total

-- Where a commit's record was put.
local function place_of_new(number)
  local at = number * SIZE - SIZE
  return sub(control, at + 49, at + 60) .. sub(control, at + 17, at + 24)
end

-- Fails when something else lies there. Behind the first write nothing may that is left as it is: a script is not undone.
if call('HEXISTS', records, place_of_new(1)) == 0 then error('the records are not there') end
local dropped = {}
local function drop_all()
  for number = 1, total do dropped[number] = place_of_new(number) end
  delete(records, dropped)
end
local known = attempt('HMGET', heads, '', unpack(ARGV, names, names + total - 1))
local lies = attempt('XLEN', KEYS[2])
if known.err or type(lies) == 'table' then
  drop_all()
  return known.err and known or lies
end
local set, last, winners, refused = { '', '' }, 2, 0, nil

local function unusual(key, field, parent, low, floor, marks, flags, more, begins, stamp)
  local ids = ''
  if has(flags, MORE) then
    local last = more + 1 + 2 * tonumber(ARGV[more + 2])
    ids = ARGV[more + 1]
    if ids ~= '' then
      for piece = more + 3, last, 2 do call('HSET', space .. 'pieces', ARGV[piece], ARGV[piece + 1]) end
      call('HSET', key, 'c' .. field, ids)
      marks = bit.bor(marks, PIECES)
    end
    local parent_field = parent and sub(parent, 13)
    local pins = parent and ARGV[more] ~= '' and pins_of(key, marks)
    if pins and not place_of(pins, parent_field) then call('HSET', records, parent, ARGV[more]) end
  end
  if low > floor then
    -- Where it is damaged nothing is removed, and the key goes on.
    local sound, what = pcall(removable, key, floor, low - 1, marks, begins, stamp)
    if sound and what then
      remove(space, key, marks, what, ids)
      floor, ids = low, ''
    end
  end
  count(space, ids, {})
  return floor, marks
end

local function set_due(name, ends)
  if ends ~= 0 then
    call('ZADD', space .. 'due', string.format('%.0f', ends), name)
  else
    call('ZREM', space .. 'due', name)
  end
end

local function commit(number)
  local name, head = ARGV[names + number - 1], known[number + 1]
  local at = number * SIZE - SIZE + 1
  local wanted, wanted_high, wanted_low, rev, chain_high, chain_low, ends_high, ends_low, limit, stamp, flags =
    from('>I8I4I4I8I4I4I4I4I8c12B', control, at)
  local more = next_more
  if flags >= MORE and has(flags, MORE) then next_more = more + 3 + 2 * tonumber(ARGV[more + 2]) end
  local key = space .. 'k:' .. name
  local is, low, floor, marks, ended, is_high, is_low, old_stamp, run = 0, rev, rev, 0, 0, 0, 0, '', 0
  if head then
    is, low, floor, marks, ended, is_high, is_low, old_stamp, run = parts_of(head)
    if not is then return { err = foreign } end
  end
  if is ~= wanted or (is_low ~= wanted_low or is_high ~= wanted_high) and flags % 2 ~= NUMBER_ALONE then
    return head and { sub(head, 1, 24), attempt('HGET', records, old_stamp .. sub(head, 1, 8)) } or {}
  end
  -- The run that ends here is noted.
  local begins = is - run + 1
  local done = head and attempt('HSET', key, pack('>I8', begins), note_of(begins, old_stamp, run)) or attempt('HLEN', key)
  if type(done) == 'table' then
    -- What stands in the way of one key, or of every write; it does so before the first.
    if not find(done.err, 'WRONGTYPE', 1, true) then refused = done end
    return done
  end
  if limit >= low then low = limit + 1 end
  -- What is not kept any more is removed at once where something hangs on it, and otherwise by runs.
  if flags > NUMBER_ALONE or marks ~= 0 then
    if has(marks, TOMBSTONE) then marks = marks - TOMBSTONE end
    local parent = head and old_stamp .. sub(head, 1, 8)
    local field = sub(control, at + 16, at + 23)
    local sound, lowest, marked = pcall(unusual, key, field, parent, low, floor, marks, flags, more, rev, stamp)
    -- The head stays, and nothing leads to what was written so far.
    if not sound then return type(lowest) == 'table' and lowest or { err = lowest } end
    floor, marks = lowest, marked
    if has(flags, IS_TOMBSTONE) then marks = marks + TOMBSTONE end
  elseif low - floor >= 8 then
    local sound, lowest = pcall(remove_runs, space, key, floor, low, rev, stamp)
    if sound then floor = lowest end
  end
  if not head then
    call('ZADD', space .. 'names', 0, name)
    call('SADD', 'tw:namespaces', string.match(space, '{(.-)}'))
  end
  local ends = ends_high * 4294967296 + ends_low
  if ends ~= 0 or ended ~= 0 then set_due(name, ends) end
  set[last + 1] = name
  set[last + 2] = head_of(sub(control, at + 16, at + 39), low, floor, marks, stamp, 1)
  last = last + 2
  winners = winners + 1
  return set[last] .. (head or '')
end

local answers = { 0, 0 }
for number = 1, total do
  local answer = commit(number)
  answers[number + 2] = answer
  if type(answer) == 'table' then dropped[#dropped + 1] = place_of_new(number) end
  if refused then break end
end
if refused then
  drop_all()
  return refused
end
delete(records, dropped)
if winners == 0 then return answers end

local won = string.rep('y', total)
if winners < total then
  local each = {}
  for number = 1, total do each[number] = type(answers[number + 2]) == 'table' and 'n' or 'y' end
  won = table.concat(each)
end

local place, counted = tell(known[1], winners, won)
if not place then
  -- The number of changes was lost or damaged: the stream itself knows.
  local last = call('XREVRANGE', KEYS[2], '+', '-', 'COUNT', 1)[1]
  local number = last and tonumber(string.match(last[1], '^1%-(%d+)$')) or 0
  place, counted = tell(number * 3, winners, won)
end
if not place then
  -- Somebody else has written to it, and it has no room behind that. The heads stay as they were.
  drop_all()
  for number = 1, total do
    local name, head = ARGV[names + number - 1], known[number + 1]
    if type(answers[number + 2]) ~= 'table' then
      if not head then call('ZREM', space .. 'names', name) end
      set_due(name, head and select(5, parts_of(head)) or 0)
    end
  end
  return { err = 'WRONGTYPE a stream of changes that takes no more' }
end
set[2] = counted
call('HSET', heads, unpack(set))
answers[1] = place
return answers
