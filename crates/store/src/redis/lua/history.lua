-- Revisions before one, newest first: `{expires or '', pinned, the record's beginning, …}`.
-- KEYS: the key. ARGV: prefix of the namespace, revision (`0`: all), how many, bytes that hold any meta.
local head, low, _, expires, marks = read_head(KEYS[1])
if not head then return {} end
local before, revs = tonumber(ARGV[2]), {}
low = tonumber(low)
local pins = string.find(marks, 's', 1, true) and redis.call('HGET', KEYS[1], 'p') or ''
for _, field in ipairs(redis.call('HKEYS', KEYS[1])) do
  local number = tonumber(field)
  if number and (before == 0 or number < before) and (number >= low or string.find(pins, ' ' .. field .. ' ', 1, true)) then
    revs[#revs + 1] = number
  end
end
table.sort(revs, function(one, other) return one > other end)
local answer = {}
for at = 1, math.min(#revs, tonumber(ARGV[3])) do
  local rev = write_number(revs[at])
  answer[#answer + 1] = rev == head and expires
    or string.find(marks, 'e', 1, true) and redis.call('HGET', KEYS[1], 'e' .. rev)
    or ''
  answer[#answer + 1] = string.find(pins, ' ' .. rev .. ' ', 1, true) and 1 or 0
  answer[#answer + 1] = string.sub(redis.call('HGET', KEYS[1], rev), 1, ARGV[4])
end
return answer
