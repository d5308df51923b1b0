-- Revisions before one, newest first: `{the end of each where that was moved, pinned, the record's beginning, …}`, behind the
-- beginning of the head.
-- KEYS: the heads and the key. ARGV: prefix of the namespace, name, revision (`0`: all), how many, bytes that hold any meta.
local head, rev, low, _, marks, _, stamp, run = read_head(KEYS[1], ARGV[2])
if not head then return {} end
local space, key, before, revs = ARGV[1], KEYS[2], tonumber(ARGV[3]), {}
local pins = sound_pins(key, marks)
local function take(number, field)
  if (before == 0 or number < before) and (number >= low or place_of(pins, field)) then revs[#revs + 1] = number end
end
for number = rev - run + 1, rev do take(number, pack('>I8', number)) end
for _, field in ipairs(call('HKEYS', key)) do
  local number = #field == 8 and from('>I8', field)
  if number and number <= rev - run then take(number, field) end
end
table.sort(revs, function(one, other) return one > other end)
local answer = { head }
for at = 1, math.min(#revs, tonumber(ARGV[4])) do
  local field = pack('>I8', revs[at])
  answer[#answer + 1] = has(marks, MOVED) and call('HGET', key, 'e' .. field) or ''
  answer[#answer + 1] = place_of(pins, field) and 1 or 0
  answer[#answer + 1] = beginning_of(space, place_of_record(key, field, rev, stamp, run), ARGV[5])
end
return answer
