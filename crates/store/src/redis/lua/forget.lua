-- Removes a key with everything, if its head is this tombstone. Answers 1, or 0 when it is not.
-- KEYS: the heads and the key. ARGV: prefix of the namespace, name, revision.
local space, name, key = ARGV[1], ARGV[2], KEYS[2]
local head, rev, _, _, marks, _, stamp, run = read_head(KEYS[1], name)
if not head or sub(head, 1, 8) ~= ARGV[3] or not has(marks, TOMBSTONE) then return 0 end
local records = {}
local function take(first, last, stamp)
  for number = first, last do records[#records + 1] = stamp .. pack('>I8', number) end
end
take(rev - run + 1, rev, stamp)
local of_pieces = {}
for _, field in ipairs(call('HKEYS', key)) do
  if #field == 8 then
    local first = from('>I8', field)
    take(first, read_note(first, call('HGET', key, field)))
  elseif #field == 9 and sub(field, 1, 1) == 'c' then
    of_pieces[#of_pieces + 1] = sub(field, 2)
  end
end
-- Nothing is let go of before all was read.
count(space, '', take_lists(key, of_pieces))
delete(space .. 'records', records)
call('DEL', key)
call('HDEL', KEYS[1], name)
call('ZREM', space .. 'names', name)
call('ZREM', space .. 'due', name)
if call('EXISTS', space .. 'names') == 0 then
  call('SREM', 'tw:namespaces', string.match(space, '{(.-)}'))
  -- A tombstone is forgotten long after its change was told. The last one stays, so that places go on behind it.
  redis.pcall('XTRIM', space .. 'changes', 'MAXLEN', 1)
end
return 1
