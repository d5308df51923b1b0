-- Heads whose time is over, the earliest first: `{name, expires, the record's beginning, …}`.
-- KEYS: the times. ARGV: prefix of the namespace, now, how many, bytes that hold any meta.
local space, answer = ARGV[1], {}
for _, name in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', ARGV[2], 'LIMIT', 0, ARGV[3])) do
  local key = space .. 'k:' .. name
  local head, _, _, expires = read_head(key)
  if head then
    answer[#answer + 1] = name
    answer[#answer + 1] = expires
    answer[#answer + 1] = string.sub(redis.call('HGET', key, head), 1, ARGV[4])
  end
end
return answer
