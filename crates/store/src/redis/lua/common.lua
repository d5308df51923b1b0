-- What several scripts need. `heads` is a hash: from each name to what its head is, see `parts_of`, and from the empty name
-- to how many changes there were, in threes (see `tell` in `whole.lua`) and in so many digits (65) that Redis does not take it for a
-- small hash, in which it would look at one name after the other. `refs` is a hash: from the name of each piece to how many
-- revisions name it, in threes too. `records` is a hash of all records of the namespace: revision N lies under the stamp that
-- it was written with and N in 8 bytes. A key is a hash with these fields, N again in 8 bytes:
--   N      the run that begins with revision N: its stamp, in one byte how many revisions it has, and a sum.
--          The last run stands in the head alone. Of its revisions some may have been removed
--   cN     the names of the pieces of revision N, 32 bytes each, where it has some
--   eN     when revision N expires, where that was moved: 8 bytes, and a checksum of who wrote them
--   p      the pinned revisions, one behind the other, and a sum

-- Keys beside those that are given are made from the namespace's prefix: which of them are needed is known only when the
-- head has been read. A cluster, which wants to be told before, is refused: `tw:namespaces` is of no namespace anyway.

local call, sub, find, pack, from = redis.call, string.sub, string.find, struct.pack, struct.unpack
local foreign = 'WRONGTYPE a head that is not what was written'
-- The most revisions of a run, as in `head.rs`.
local LONGEST_RUN = 16

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

-- How a run is noted.
local NOTE = '>I4I4I4Bd'

local function sum_of_run(first, one, two, three, many)
  return first * 3 + one * 19 + two * 23 + three * 29 + many * 31
end

local function note_of(first, stamp, many)
  local one, two, three = from('>I4I4I4', stamp)
  return pack(NOTE, one, two, three, many, sum_of_run(first, one, two, three, many))
end

-- The last revision of a noted run, and its stamp.
local function read_note(first, note)
  if #note ~= 21 then error(foreign) end
  local one, two, three, many, sum = from(NOTE, note)
  if sum ~= sum_of_run(first, one, two, three, many) then error(foreign) end
  return first + many - 1, sub(note, 1, 12)
end

-- The run that a revision is of: its first revision, its last one and its stamp. The last run begins with revision `begins`.
-- Nothing when it is of none.
local function run_of(key, number, begins, stamp)
  if number >= begins then return begins, 9007199254740992, stamp end
  local note = call('HGET', key, pack('>I8', number))
  if note then return number, read_note(number, note) end
  if number == 1 then return nil end
  local fields = {}
  for first = number - 1, math.max(1, number - LONGEST_RUN + 1), -1 do fields[#fields + 1] = pack('>I8', first) end
  for at, note in ipairs(call('HMGET', key, unpack(fields))) do
    if note then
      local last, stamp = read_note(number - at, note)
      if last >= number then return number - at, last, stamp end
      return nil
    end
  end
end

-- Where a revision's record lies among the records; nothing when there is none.
local function place_of_record(key, field, begins, stamp)
  local first, _, stamp = run_of(key, from('>I8', field), begins, stamp)
  return first and stamp .. field
end

local function delete(hash, fields)
  local removed = 0
  for at = 1, #fields, 1000 do
    removed = removed + call('HDEL', hash, unpack(fields, at, math.min(at + 999, #fields)))
  end
  return removed
end

-- What makes Redis take `refs` for no small hash, in which it would look at one name after the other.
local NO_PIECE, WIDE = '', string.rep('0', 65)

-- Counts, in threes, how many revisions name each piece: those of the list `added` are named by one more, those of the lists
-- `removed` by one less each. Mostly they are nearly the same. A flipped bit in a digit makes a number that three does not
-- divide, so that it never comes to nothing: what it counts stays, as it does where the number is none or was lost.
local function count(space, added, removed)
  local changes, names, refs = {}, {}, space .. 'refs'
  local function change(ids, by)
    for at = 1, #ids, 32 do
      local id = sub(ids, at, at + 31)
      changes[id] = (changes[id] or 0) + by
    end
  end
  change(added, 3)
  for _, ids in ipairs(removed) do change(ids, -3) end
  for id, by in pairs(changes) do
    if by ~= 0 then names[#names + 1] = id end
  end
  local set, none = { NO_PIECE, WIDE }, {}
  for at = 1, #names, 1000 do
    local known = redis.pcall('HMGET', refs, unpack(names, at, math.min(at + 999, #names)))
    if known.err then return end
    for number, counted in ipairs(known) do
      local id = names[at + number - 1]
      local by, threes = changes[id], not counted and 0 or find(counted, '^%-?%d+$') and tonumber(counted)
      if threes and by < 0 and threes + by == 0 then
        none[#none + 1] = id
      elseif threes and math.abs(threes) < 9e14 then
        set[#set + 1] = id
        set[#set + 1] = string.format('%.0f', threes + by)
      end
    end
  end
  for at = 1, #set > 2 and #set or 0, 1000 do call('HSET', refs, unpack(set, at, math.min(at + 999, #set))) end
  if #none > 0 then
    delete(refs, none)
    delete(space .. 'pieces', none)
    if call('HLEN', refs) == 1 then call('HDEL', refs, NO_PIECE) end
  end
end

-- Takes the lists of pieces of some revisions from a key.
local function take_lists(key, fields)
  local lists, names = {}, {}
  for _, field in ipairs(fields) do
    lists[#lists + 1] = call('HGET', key, 'c' .. field) or nil
    names[#names + 1] = 'c' .. field
  end
  delete(key, names)
  return lists
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

-- Where the first run begins that begins behind a revision; nothing when there is none.
local function next_run(key, number)
  local next
  for _, field in ipairs(call('HKEYS', key)) do
    local first = #field == 8 and from('>I8', field)
    if first and first > number and (not next or first < next) then next = first end
  end
  return next
end

-- What there is to remove of the unpinned revisions from `low` to `limit`; nothing when nobody can say which are pinned, and
-- all stay. Whatever is damaged is found here, before anything is removed.
local function removable(key, low, limit, marks, begins, stamp)
  local pins = pins_of(key, marks)
  if not pins then return nil end
  local number, fields, records, runs = low, {}, {}, {}
  while number and number <= limit do
    local first, last, stamp = run_of(key, number, begins, stamp)
    if first then
      local whole = last <= limit
      for number = first, math.min(last, limit) do
        local field = pack('>I8', number)
        if place_of(pins, field) then
          whole = false
        elseif number >= low then
          fields[#fields + 1] = field
          records[#records + 1] = stamp .. field
        end
      end
      if whole then runs[#runs + 1] = pack('>I8', first) end
      number = last + 1
    else
      -- A copied history may have gaps of any width.
      number = math.min(next_run(key, number) or begins, begins)
    end
  end
  return { fields = fields, records = records, runs = runs }
end

-- Removes that, and counts the pieces of a list `ids` that comes instead. How many revisions were there. Without such a list
-- it writes nothing that takes room.
local function remove(space, key, marks, what, ids)
  if has(marks, MOVED) then
    for _, field in ipairs(what.fields) do call('HDEL', key, 'e' .. field) end
  end
  if has(marks, PIECES) then count(space, ids or '', take_lists(key, what.fields)) end
  local removed = delete(space .. 'records', what.records)
  delete(key, what.runs)
  return removed
end

-- Removes the runs that end before `low`, of a key on which nothing hangs. The lowest revision that may lie there then.
local function remove_runs(space, key, floor, low, begins, stamp)
  local records, runs, number = {}, {}, floor
  while number < low and number < begins do
    local first, last, stamp = run_of(key, number, begins, stamp)
    if not first then
      number = math.min(next_run(key, number) or begins, begins, low)
    elseif last >= low then
      break
    else
      for number = number, last do records[#records + 1] = stamp .. pack('>I8', number) end
      runs[#runs + 1] = pack('>I8', first)
      number = last + 1
    end
  end
  delete(space .. 'records', records)
  delete(key, runs)
  return number
end

-- The beginning of a record; nothing of it where it is not there or damaged, which whoever reads it finds out.
local function beginning_of(space, place, room)
  local record = place and redis.pcall('HGET', space .. 'records', place)
  return type(record) == 'string' and sub(record, 1, room) or ''
end

-- Answers with the heads of names: `{name, the beginning of the head, the record's beginning, …}`. A name whose head is lost
-- has its place among them, so that a list goes on behind it.
local function describe(space, names, room)
  if #names == 0 then return {} end
  local answer = {}
  for at = 1, #names, 1000 do
    local last = math.min(at + 999, #names)
    for number, head in ipairs(call('HMGET', space .. 'heads', unpack(names, at, last))) do
      answer[#answer + 1] = names[at + number - 1]
      answer[#answer + 1] = head and parts_of(head) and sub(head, 1, 24) or ''
      answer[#answer + 1] = head and beginning_of(space, sub(head, 42, 53) .. sub(head, 1, 8), room) or ''
    end
  end
  return answer
end
