-- What several scripts need. A key is a hash with these fields:
--   h      what the head is: `rev low expires marks`, see `read_head`
--   m      the mark of the head's chain: the first 64 bits of it
--   N      the record of revision N
--   cN     the names of the pieces of revision N, 32 bytes each, where it has some
--   eN     when revision N expires, where that was moved
--   p      the pinned revisions, each between spaces

-- Keys beside the key's own and the stream are made from the namespace's prefix: which of them are needed is known only when
-- the head has been read, and all of a namespace lie in one slot.

local foreign = 'WRONGTYPE a key whose head is of somebody else'

-- The head's revision; the lowest revision that is kept unpinned; the lowest that may lie there; when the head expires (`0`:
-- never); and marks: `t` a tombstone, `c` revisions with pieces, `e` with moved ends, `s` pinned ones. Nothing when there is
-- no such key.
local function read_head(key)
  local known = redis.call('HGET', key, 'h')
  if known then
    local head, low, floor, expires, marks = string.match(known, '^(%d+) (%d+) (%d+) (%d+) (%a*)$')
    if not head then error(foreign) end
    return head, low, floor, expires, marks
  end
end

local function write_number(number)
  return string.format('%.0f', number)
end

local function for_each_piece(ids, action)
  for at = 1, #ids, 32 do action(string.sub(ids, at, at + 31)) end
end

local function release(space, id)
  if redis.call('HINCRBY', space .. 'refs', id, -1) <= 0 then
    redis.call('HDEL', space .. 'refs', id)
    redis.call('HDEL', space .. 'pieces', id)
  end
end

local function keep_all(space, key, rev, ids)
  for_each_piece(ids, function(id) redis.call('HINCRBY', space .. 'refs', id, 1) end)
  redis.call('HSET', key, 'c' .. rev, ids)
end

local function release_all(space, key, rev)
  local ids = redis.call('HGET', key, 'c' .. rev)
  if ids then
    for_each_piece(ids, function(id) release(space, id) end)
    redis.call('HDEL', key, 'c' .. rev)
  end
end

local function with_mark(marks, mark)
  return string.find(marks, mark, 1, true) and marks or marks .. mark
end

-- Removes the unpinned revisions from `low` to `limit`. How many were there.
local function remove(space, key, low, limit, marks)
  local candidates = {}
  if limit - low > 256 then
    -- A copied history may have gaps of any width.
    for _, field in ipairs(redis.call('HKEYS', key)) do
      local number = tonumber(field)
      if number and number >= low and number <= limit then candidates[#candidates + 1] = field end
    end
  else
    for number = low, limit do candidates[#candidates + 1] = write_number(number) end
  end
  local pins = string.find(marks, 's', 1, true) and redis.call('HGET', key, 'p') or ''
  local removed = 0
  for _, rev in ipairs(candidates) do
    if not string.find(pins, ' ' .. rev .. ' ', 1, true) then
      removed = removed + redis.call('HDEL', key, rev)
      if string.find(marks, 'e', 1, true) then redis.call('HDEL', key, 'e' .. rev) end
      if string.find(marks, 'c', 1, true) then release_all(space, key, rev) end
    end
  end
  return removed
end
