-- Revisions before one, newest first: `{the end of each where that was moved, pinned, the record's beginning, …}`, behind the
-- beginning of the head.
-- KEYS: the heads and the key. ARGV: prefix of the namespace, name, revision (`0`: all), how many, bytes that hold any meta.
local head, rev, low, _, marks, _, stamp, run = read_head(KEYS[1], ARGV[2])
if not head then return {} end
local space, key, before, revs = ARGV[1], KEYS[2], tonumber(ARGV[3]), {}
local pins = sound_pins(key, marks)
local begins = rev - run + 1
local places = {}
local function take(first, last, stamp)
  for number = first, last do
    local field = pack('>I8', number)
    if (before == 0 or number < before) and (number >= low or place_of(pins, field)) then
      revs[#revs + 1] = number
      places[number] = stamp .. field
    end
  end
end
take(begins, rev, stamp)
for _, field in ipairs(call('HKEYS', key)) do
  local first = #field == 8 and from('>I8', field)
  if first and first < begins then take(first, read_note(first, call('HGET', key, field))) end
end
table.sort(revs, function(one, other) return one > other end)
local answer, left = { head }, tonumber(ARGV[4])
for _, number in ipairs(revs) do
  if left == 0 then break end
  local beginning = beginning_of(space, places[number], ARGV[5])
  -- Some of a run may have been removed.
  if beginning ~= '' or number == rev then
    local field = pack('>I8', number)
    answer[#answer + 1] = has(marks, MOVED) and call('HGET', key, 'e' .. field) or ''
    answer[#answer + 1] = place_of(pins, field) and 1 or 0
    answer[#answer + 1] = beginning
    left = left - 1
  end
end
return answer
