-- Pins a revision and keeps it as the record given, or unpins it when none is. Answers 1, or 0 when there is none.
-- KEYS: the key. ARGV: prefix of the namespace, revision, record or nothing, names of the record's pieces.
local key, rev = KEYS[1], ARGV[2]
local space = ARGV[1]
local head, low, floor, expires, marks = read_head(key)
if not head or redis.call('HEXISTS', key, rev) == 0 then return 0 end
local pins = redis.call('HGET', key, 'p') or ' '
local pinned = string.find(pins, ' ' .. rev .. ' ', 1, true)
if not pinned and tonumber(rev) < tonumber(low) then return 0 end
if ARGV[3] ~= '' then
  if not pinned then pins = pins .. rev .. ' ' end
  redis.call('HSET', key, 'p', pins, rev, ARGV[3])
  -- First the new ones, so that what both have stays.
  local old = redis.call('HGET', key, 'c' .. rev)
  if ARGV[4] ~= '' then
    keep_all(space, key, rev, ARGV[4])
    marks = with_mark(marks, 'c')
  else
    redis.call('HDEL', key, 'c' .. rev)
  end
  if old then for_each_piece(old, function(id) release(space, id) end) end
elseif pinned then
  if tonumber(rev) < tonumber(low) then
    -- What lies between is not kept any more, and must not come back. This one is named among the pinned still, and stays.
    if tonumber(low) > tonumber(floor) then remove(space, key, tonumber(floor), tonumber(low) - 1, marks) end
    low, floor = rev, rev
  end
  pins = string.sub(pins, 1, pinned) .. string.sub(pins, pinned + #rev + 2)
  redis.call('HSET', key, 'p', pins)
end
marks = string.gsub(marks, 's', '')
if pins ~= ' ' then marks = with_mark(marks, 's') end
redis.call('HSET', key, 'h', head .. ' ' .. low .. ' ' .. floor .. ' ' .. expires .. ' ' .. marks)
return 1
