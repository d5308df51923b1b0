-- Revisions before one, newest first: `{the end of each where that was moved, pinned, the record's beginning, …}`, behind the
-- beginning of the head.
-- KEYS: the heads and the key. ARGV: name, revision (`0`: all), how many, bytes that hold any meta.
local head, rev, low, _, marks = read_head(KEYS[1], ARGV[1])
if not head then return {} end
local key, before, revs = KEYS[2], tonumber(ARGV[2]), {}
local pins = sound_pins(key, marks)
for _, field in ipairs(call('HKEYS', key)) do
  local number = #field == 8 and from('>I8', field)
  if number and number <= rev and (before == 0 or number < before) and (number >= low or place_of(pins, field)) then
    revs[#revs + 1] = number
  end
end
table.sort(revs, function(one, other) return one > other end)
local answer = { head }
for at = 1, math.min(#revs, tonumber(ARGV[3])) do
  local field = pack('>I8', revs[at])
  answer[#answer + 1] = has(marks, MOVED) and call('HGET', key, 'e' .. field) or ''
  answer[#answer + 1] = place_of(pins, field) and 1 or 0
  answer[#answer + 1] = beginning_of(key, field, ARGV[4])
end
return answer
