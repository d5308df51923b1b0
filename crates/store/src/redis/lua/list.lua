-- The heads of keys in the order of their names: `{name, expires, the record's beginning, …}`.
-- KEYS: the names. ARGV: prefix of the namespace, where the range begins and ends, how many, bytes that hold any meta.
local space, answer = ARGV[1], {}
for _, name in ipairs(redis.call('ZRANGEBYLEX', KEYS[1], ARGV[2], ARGV[3], 'LIMIT', 0, ARGV[4])) do
  local key = space .. 'k:' .. name
  local head, _, _, expires = read_head(key)
  if head then
    answer[#answer + 1] = name
    answer[#answer + 1] = expires
    answer[#answer + 1] = string.sub(redis.call('HGET', key, head), 1, ARGV[5])
  end
end
return answer
