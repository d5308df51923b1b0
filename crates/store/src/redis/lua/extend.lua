-- Moves the time at which the head expires, never to an earlier one. Answers 1, or 0 when the head is another.
-- KEYS: the key. ARGV: prefix of the namespace, revision, when it is to expire, name.
local space = ARGV[1]
local head, low, floor, expires, marks = read_head(KEYS[1])
if head ~= ARGV[2] then return 0 end
if expires ~= '0' and tonumber(ARGV[3]) > tonumber(expires) then
  local described = head .. ' ' .. low .. ' ' .. floor .. ' ' .. ARGV[3] .. ' ' .. with_mark(marks, 'e')
  redis.call('HSET', KEYS[1], 'h', described, 'e' .. head, ARGV[3])
  redis.call('ZADD', space .. 'due', ARGV[3], ARGV[4])
end
return 1
