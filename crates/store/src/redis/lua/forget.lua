-- Removes a key with everything, if its head is this tombstone. Answers 1, or 0 when it is not.
-- KEYS: the key. ARGV: prefix of the namespace, revision, name.
local space = ARGV[1]
local head, _, _, _, marks = read_head(KEYS[1])
if head ~= ARGV[2] or not string.find(marks, 't', 1, true) then return 0 end
if string.find(marks, 'c', 1, true) then
  for _, field in ipairs(redis.call('HKEYS', KEYS[1])) do
    if string.find(field, '^c%d+$') then release_all(space, KEYS[1], string.sub(field, 2)) end
  end
end
redis.call('DEL', KEYS[1])
redis.call('ZREM', space .. 'names', ARGV[3])
redis.call('ZREM', space .. 'due', ARGV[3])
if redis.call('EXISTS', space .. 'names') == 0 then
  redis.call('SREM', 'tw:namespaces', string.match(space, '{(.-)}'))
end
return 1
