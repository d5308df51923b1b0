-- Pins a revision and keeps it as the record given, or unpins it when none is. Answers 1, or 0 when there is none, or one
-- of another chain.
-- KEYS: the heads and the key. ARGV: prefix of the namespace, name, revision, record or nothing, names of the record's pieces,
-- its chain, bytes that hold any meta.
local space, name, field, key = ARGV[1], ARGV[2], ARGV[3], KEYS[2]
local head, is, low, floor, marks, _, stamp, run = read_head(KEYS[1], name)
if not head then return 0 end
local begins, rev = is - run + 1, from('>I8', field)
local place = rev <= is and place_of_record(key, field, begins, stamp)
if not place or call('HEXISTS', space .. 'records', place) == 0 then return 0 end
local pins = sound_pins(key, marks)
local pinned = place_of(pins, field)
if not pinned and rev < low then return 0 end
-- The chain stands in the meta, and nothing else is like it.
if ARGV[4] ~= '' and not find(beginning_of(space, place, ARGV[7]), ARGV[6], 1, true) then return 0 end
if ARGV[4] ~= '' then
  if not pinned then pins = pins .. field end
  call('HSET', key, 'p', pins .. pins_sum(pins))
  call('HSET', space .. 'records', place, ARGV[4])
  count(space, ARGV[5], take_lists(key, { field }))
  if ARGV[5] ~= '' then
    call('HSET', key, 'c' .. field, ARGV[5])
    marks = bit.bor(marks, PIECES)
  end
elseif pinned then
  if rev < low then
    -- What lies between is not kept any more, and must not come back. This one is named among the pinned still, and stays.
    remove(space, key, marks, removable(key, floor, low - 1, marks, begins, stamp))
    low, floor = rev, rev
  end
  pins = sub(pins, 1, pinned - 1) .. sub(pins, pinned + 8)
  call('HSET', key, 'p', pins .. pins_sum(pins))
end
if has(marks, PINNED) then marks = marks - PINNED end
if pins ~= '' then marks = marks + PINNED end
call('HSET', KEYS[1], name, head_of(head, low, floor, marks, stamp, run))
return 1
