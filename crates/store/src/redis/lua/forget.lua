-- Removes a key with everything, if its head is this tombstone. Answers 1, or 0 when it is not.
-- KEYS: the heads and the key. ARGV: prefix of the namespace, name, revision.
local space, name = ARGV[1], ARGV[2]
local head, _, _, _, marks = read_head(KEYS[1], name)
if not head or sub(head, 1, 8) ~= ARGV[3] or not has(marks, TOMBSTONE) then return 0 end
if has(marks, PIECES) then
  for _, field in ipairs(call('HKEYS', KEYS[2])) do
    if #field == 9 and sub(field, 1, 1) == 'c' then release_all(space, KEYS[2], sub(field, 2)) end
  end
end
call('DEL', KEYS[2])
call('HDEL', KEYS[1], name)
call('ZREM', space .. 'names', name)
call('ZREM', space .. 'due', name)
if call('EXISTS', space .. 'names') == 0 then call('SREM', 'tw:namespaces', string.match(space, '{(.-)}')) end
return 1
