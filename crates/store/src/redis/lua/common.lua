-- What several scripts need. `heads` is a hash: from each name to what its head is, see `parts_of`, and from the empty name
-- to how many changes there were. `records` is a hash of all records of the namespace: revision N lies under the stamp that
-- it was written with and N in 8 bytes. A key is a hash with these fields, N again in 8 bytes:
--   N      the stamp of revision N; of the last run only what is pinned need be noted, see `parts_of`
--   cN     the names of the pieces of revision N, 32 bytes each, where it has some
--   eN     when revision N expires, where that was moved: 8 bytes, and a checksum of who wrote them
--   p      the pinned revisions, one behind the other, and a sum

-- Keys beside those that are given are made from the namespace's prefix: which of them are needed is known only when the
-- head has been read, and all of a namespace lie in one slot.

local call, sub, find, pack, from = redis.call, string.sub, string.find, struct.pack, struct.unpack
local foreign = 'WRONGTYPE a head that is not what was written'

-- What is marked in a head.
local TOMBSTONE, PIECES, MOVED, PINNED = 1, 2, 4, 8

local function has(marks, mark) return bit.band(marks, mark) ~= 0 end

-- A head is in 24 bytes its revision, the beginning of its chain, and when it expires (0: never); then the lowest revision
-- that is kept unpinned, the lowest that may lie there, and marks; then the stamp of the last run, 12 bytes, and how many
-- revisions that has, the head being the last of them; then a sum, which finds every flipped bit in what it is made of.
-- `head.rs` writes the same.
local HEAD = '>I8I4I4I4I4I8I8BI4I4I4Bd'

local function sum_of(rev, ends_high, ends_low, low, floor, marks, one, two, three, run)
  return rev * 3 + ends_high * 5 + ends_low * 7 + low * 11 + floor * 13 + marks * 17
    + one * 19 + two * 23 + three * 29 + run * 31
end

-- Gives of a head the revision, the lowest revisions, the marks, when it expires, the beginning of the chain as two numbers,
-- the stamp and how many revisions have it; nothing when it is damaged.
local function parts_of(head)
  if #head ~= 62 then return nil end
  local rev, chain_high, chain_low, ends_high, ends_low, low, floor, marks, one, two, three, run, sum = from(HEAD, head)
  if sum ~= sum_of(rev, ends_high, ends_low, low, floor, marks, one, two, three, run) then return nil end
  if floor > low or low > rev or run > rev then return nil end
  return rev, low, floor, marks, ends_high * 4294967296 + ends_low, chain_high, chain_low, sub(head, 42, 53), run
end

-- Makes one from its first 24 bytes and the rest.
local function head_of(beginning, low, floor, marks, stamp, run)
  local rev, chain_high, chain_low, ends_high, ends_low = from('>I8I4I4I4I4', beginning)
  local one, two, three = from('>I4I4I4', stamp)
  local sum = sum_of(rev, ends_high, ends_low, low, floor, marks, one, two, three, run)
  return pack(HEAD, rev, chain_high, chain_low, ends_high, ends_low, low, floor, marks, one, two, three, run, sum)
end

-- The first 24 bytes of a key's head, and its parts without the chain. Nothing when there is no such key.
local function read_head(heads, name)
  local head = call('HGET', heads, name)
  if head then
    local rev, low, floor, marks, ends, _, _, stamp, run = parts_of(head)
    if not rev then error(foreign) end
    return sub(head, 1, 24), rev, low, floor, marks, ends, stamp, run
  end
end

-- Where a revision's record lies among the records, by the head of its key; nothing when nobody knows.
local function place_of_record(key, field, rev, stamp, run)
  if from('>I8', field) > rev - run then return stamp .. field end
  local older = call('HGET', key, field)
  return older and older .. field
end

-- Notes the stamp of each revision of the last run in the key.
local function note_run(key, rev, stamp, run)
  local notes = {}
  for number = rev - run + 1, rev do
    notes[#notes + 1] = pack('>I8', number)
    notes[#notes + 1] = stamp
  end
  return redis.pcall('HSET', key, unpack(notes))
end

local function for_each_piece(ids, action)
  for at = 1, #ids, 32 do action(sub(ids, at, at + 31)) end
end

local function release(space, id)
  if call('HINCRBY', space .. 'refs', id, -1) <= 0 then
    call('HDEL', space .. 'refs', id)
    call('HDEL', space .. 'pieces', id)
  end
end

local function keep_all(space, key, field, ids)
  for_each_piece(ids, function(id) call('HINCRBY', space .. 'refs', id, 1) end)
  call('HSET', key, 'c' .. field, ids)
end

local function release_all(space, key, field)
  local ids = call('HGET', key, 'c' .. field)
  if ids then
    for_each_piece(ids, function(id) release(space, id) end)
    call('HDEL', key, 'c' .. field)
  end
end

-- Finds every flipped bit in a list of pinned revisions.
local function pins_sum(pins)
  local one, all = 0, 0
  for at = 1, #pins, 4 do
    one = (one + from('>I4', pins, at)) % 4294967296
    all = (all + one) % 4294967296
  end
  return pack('>I4I4', one, all)
end

-- The pinned revisions of a key; nothing when they are damaged.
local function pins_of(key, marks)
  if not has(marks, PINNED) then return '' end
  local stored = call('HGET', key, 'p') or ''
  local pins = sub(stored, 1, -9)
  if pins ~= '' and #stored % 8 == 0 and sub(stored, -8) == pins_sum(pins) then return pins end
end

local function sound_pins(key, marks)
  return pins_of(key, marks) or error(foreign)
end

-- Where a revision stands among the pinned ones; nothing when it does not.
local function place_of(pins, field)
  for at = 1, #pins, 8 do
    if sub(pins, at, at + 7) == field then return at end
  end
end

-- Removes the unpinned revisions from `low` to `limit`. What is not noted is of the last run. How many were there; nothing
-- when nobody can say which are pinned, and all stay. Writes nothing that takes room.
local function remove(space, key, low, limit, marks, rev, stamp, run)
  local pins = pins_of(key, marks)
  if not pins then return nil end
  local candidates = {}
  if limit - low > 256 then
    -- A copied history may have gaps of any width.
    for _, field in ipairs(call('HKEYS', key)) do
      local number = #field == 8 and from('>I8', field)
      if number and number >= low and number <= limit then candidates[#candidates + 1] = field end
    end
    for number = math.max(low, rev - run + 1), limit do candidates[#candidates + 1] = pack('>I8', number) end
  else
    for number = low, limit do candidates[#candidates + 1] = pack('>I8', number) end
  end
  if marks ~= 0 then
    local unpinned = {}
    for _, field in ipairs(candidates) do
      if not place_of(pins, field) then
        unpinned[#unpinned + 1] = field
        if has(marks, MOVED) then call('HDEL', key, 'e' .. field) end
        if has(marks, PIECES) then release_all(space, key, field) end
      end
    end
    candidates = unpinned
  end
  local removed = 0
  for at = 1, #candidates, 1000 do
    local last, records = math.min(at + 999, #candidates), {}
    for number, noted in ipairs(call('HMGET', key, unpack(candidates, at, last))) do
      local field = candidates[at + number - 1]
      if from('>I8', field) > rev - run then noted = stamp end
      if noted then records[#records + 1] = noted .. field end
    end
    if #records > 0 then
      removed = removed + call('HDEL', space .. 'records', unpack(records))
      call('HDEL', key, unpack(candidates, at, last))
    end
  end
  return removed
end

-- The beginning of a record; nothing of it where it is not there or damaged, which whoever reads it finds out.
local function beginning_of(space, place, room)
  local record = place and redis.pcall('HGET', space .. 'records', place)
  return type(record) == 'string' and sub(record, 1, room) or ''
end

-- Answers with the heads of names: `{name, the beginning of the head, the record's beginning, …}`.
local function describe(space, names, room)
  if #names == 0 then return {} end
  local answer = {}
  for at = 1, #names, 1000 do
    local last = math.min(at + 999, #names)
    for number, head in ipairs(call('HMGET', space .. 'heads', unpack(names, at, last))) do
      local name = names[at + number - 1]
      if head then
        answer[#answer + 1] = name
        answer[#answer + 1] = parts_of(head) and sub(head, 1, 24) or ''
        answer[#answer + 1] = beginning_of(space, sub(head, 42, 53) .. sub(head, 1, 8), room)
      end
    end
  end
  return answer
end
