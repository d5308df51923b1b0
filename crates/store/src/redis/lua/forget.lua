-- Removes a key with everything, if its head is this tombstone. Answers 1, or 0 when it is not.
-- KEYS: the heads and the key. ARGV: prefix of the namespace, name, revision.
local space, name, key = ARGV[1], ARGV[2], KEYS[2]
local head, rev, _, _, marks, _, stamp, run = read_head(KEYS[1], name)
if not head or sub(head, 1, 8) ~= ARGV[3] or not has(marks, TOMBSTONE) then return 0 end
local noted, records = call('HGETALL', key), {}
for number = rev - run + 1, rev do records[#records + 1] = stamp .. pack('>I8', number) end
for at = 1, #noted, 2 do
  local field = noted[at]
  if #field == 8 then records[#records + 1] = noted[at + 1] .. field end
  if #field == 9 and sub(field, 1, 1) == 'c' then release_all(space, key, sub(field, 2)) end
end
for at = 1, #records, 1000 do call('HDEL', space .. 'records', unpack(records, at, math.min(at + 999, #records))) end
call('DEL', key)
call('HDEL', KEYS[1], name)
call('ZREM', space .. 'names', name)
call('ZREM', space .. 'due', name)
if call('EXISTS', space .. 'names') == 0 then call('SREM', 'tw:namespaces', string.match(space, '{(.-)}')) end
return 1
