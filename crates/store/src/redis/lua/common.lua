-- What several scripts need. `heads` is a hash: from each name to what its head is, see `read_head`, and from the empty name
-- to how many changes there were. A key is a hash with these fields, where N is a revision in 8 bytes:
--   N      the record of revision N
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

-- Finds every flipped bit in what it is made of.
local function sum_of(rev, ends_high, ends_low, low, floor, marks)
  return rev * 3 + ends_high * 5 + ends_low * 7 + low * 11 + floor * 13 + marks * 17
end

-- A head is in 24 bytes its revision, the beginning of its chain, and when it expires (0: never); then the lowest revision
-- that is kept unpinned, the lowest that may lie there, marks, and a sum. Gives the revision, these three, when it expires,
-- and the beginning of the chain as two numbers; nothing when it is damaged.
local function parts_of(head)
  if #head ~= 49 then return nil end
  local rev, chain_high, chain_low, ends_high, ends_low, low, floor, marks, sum = from('>I8I4I4I4I4I8I8Bd', head)
  if sum ~= sum_of(rev, ends_high, ends_low, low, floor, marks) or floor > low or low > rev then return nil end
  return rev, low, floor, marks, ends_high * 4294967296 + ends_low, chain_high, chain_low
end

local function head_of(beginning, low, floor, marks)
  local rev, ends_high, ends_low = from('>I8xxxxxxxxI4I4', beginning)
  return beginning .. pack('>I8I8Bd', low, floor, marks, sum_of(rev, ends_high, ends_low, low, floor, marks))
end

-- The beginning of a key's head, and its parts. Nothing when there is no such key.
local function read_head(heads, name)
  local head = call('HGET', heads, name)
  if head then
    local rev, low, floor, marks, ends = parts_of(head)
    if not rev then error(foreign) end
    return sub(head, 1, 24), rev, low, floor, marks, ends
  end
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

-- Removes the unpinned revisions from `low` to `limit`. How many were there; nothing when nobody can say which are pinned, and
-- all stay.
local function remove(space, key, low, limit, marks)
  local pins = pins_of(key, marks)
  if not pins then return nil end
  local candidates = {}
  if limit - low > 256 then
    -- A copied history may have gaps of any width.
    for _, field in ipairs(call('HKEYS', key)) do
      local number = #field == 8 and from('>I8', field)
      if number and number >= low and number <= limit then candidates[#candidates + 1] = field end
    end
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
    removed = removed + call('HDEL', key, unpack(candidates, at, math.min(at + 999, #candidates)))
  end
  return removed
end

-- The beginning of a record; nothing of it where it is not there or damaged, which whoever reads it finds out.
local function beginning_of(key, field, room)
  local record = redis.pcall('HGET', key, field)
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
        answer[#answer + 1] = beginning_of(space .. 'k:' .. name, sub(head, 1, 8), room)
      end
    end
  end
  return answer
end
